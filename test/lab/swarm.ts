import type { Host } from './host.ts';

/** Makes the hosts one swarm, with the first for its manager. */
export async function formSwarm([manager, ...workers]: readonly [Host, ...Host[]]): Promise<void> {
  await manager.docker(['swarm', 'init', '--advertise-addr', manager.address]);
  const token = (await manager.docker(['swarm', 'join-token', '--quiet', 'worker'])).trim();
  for (const worker of workers) {
    await worker.docker(['swarm', 'join', '--token', token, `${manager.address}:2377`]);
  }
}
