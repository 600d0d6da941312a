/** The Docker daemon goes and comes back. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { addressOf, startContainer } from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { type Behaviour, outcome, severalOfSwarm } from './behaviour.ts';
import { createContainer, interfacesOn, reaches } from './containers.ts';

const many = Array.from({ length: 10 }, (_, index) => `net${index}`);

const ends = ['stopDockerd', 'killDockerd'] as const;

/** Restarts the daemon with these settings in addition, and with those of before when all is seen. */
async function seeWithDaemon(
  host: Host,
  settings: Readonly<Record<string, unknown>>,
  see: () => Promise<unknown>,
): Promise<unknown> {
  const file = host.path('/etc/docker/daemon.json');
  const before = await readFile(file, 'utf8');
  await host.stopDockerd();
  await writeFile(file, JSON.stringify({ ...JSON.parse(before), ...settings }));
  const started = await outcome(host.startDockerd());
  try {
    return started === 'done' ? await see() : started;
  } finally {
    if (started === 'done') await host.stopDockerd();
    await writeFile(file, before);
    await host.startDockerd();
  }
}

export const daemon: readonly Behaviour[] = [
  {
    name: 'a container is on its ten networks again, with its `--ip`, after a stop and a crash of the daemon',
    async see({ host, createNetwork }) {
      for (const [index, name] of many.entries()) {
        await createNetwork(name, ['--subnet', `10.41.${index}.0/24`]);
      }
      const [first = '', ...others] = many;
      await createContainer(host, first, 'all', ['--ip', '10.41.0.77', '--restart', 'always']);
      for (const name of others) await host.docker(['network', 'connect', name, 'all']);
      await host.docker(['start', 'all']);
      const seen: unknown[] = [];
      for (const end of ends) {
        await host[end]();
        await host.startDockerd();
        // Docker starts it when it has time.
        await waitFor('the container is on all networks', async () => {
          return (await interfacesOn(host, 'all')).length === many.length;
        });
        seen.push(await addressOf(host, first, 'all'));
      }
      return seen;
    },
    holds: ends.map(() => '10.41.0.77'),
    differs: { overlay: severalOfSwarm },
  },
  {
    name: 'with live-restore, containers run on, connected, over a stop and a crash of the daemon',
    async see({ host, createNetwork }) {
      await createNetwork('blue', ['--subnet', '10.41.0.0/24']);
      return seeWithDaemon(host, { 'live-restore': true }, async () => {
        await startContainer(host, 'blue', 'web', ['--ip', '10.41.0.77']);
        await startContainer(host, 'blue', 'asker');
        const pid = () => host.docker(['inspect', '--format', '{{.State.Pid}}', 'web']);
        const before = await pid();
        const seen: unknown[] = [];
        for (const end of ends) {
          await host[end]();
          await host.startDockerd();
          seen.push({ runsOn: (await pid()) === before, reaches: await reaches(host, 'asker', 'web') });
        }
        await host.docker(['rm', '--force', 'web']);
        return [...seen, await startContainer(host, 'blue', 'next', ['--ip', '10.41.0.77'])];
      });
    },
    holds: [{ runsOn: true, reaches: true }, { runsOn: true, reaches: true }, '10.41.0.77'],
    differs: {
      overlay: {
        sees: expect.stringContaining('incompatible with swarm mode'),
        why: 'Swarm, which overlay networks need, takes no live-restore.',
      },
    },
  },
];
