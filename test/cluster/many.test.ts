/** Many containers at once. */
import { expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import { addressOf, createNetwork, leavesNoTrace, storeKeys } from './cluster.ts';
import { testCluster } from './test-lab.ts';

const lab = testCluster({
  name: 'many',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '28.5' },
  ],
});

const perHost = 50;
const names = Array.from({ length: perHost }, (_, index) => `c${index}`);

test('100 containers started at once on two hosts get 100 addresses, and all are reached', async () => {
  for (const host of lab.hosts) {
    await createNetwork(host, 'blue', ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue']);
  }
  const addresses = await Promise.all(lab.hosts.flatMap((host) => names.map((name) => start(host, name))));
  expect(new Set(addresses).size).toBe(2 * perHost);
  for (const host of lab.hosts) {
    await waitFor(`c0 on ${host.name} reaches all`, async () => {
      const script = `for a in ${addresses.join(' ')}; do ping -c 1 -W 2 $a >/dev/null || exit 1; done`;
      await host.docker(['exec', 'c0', 'sh', '-c', script], { timeoutMs: 120_000 });
      return true;
    });
  }
});

test('and leave nothing behind when all are removed at once', async () => {
  await Promise.all(
    lab.hosts.map((host) => host.docker(['rm', '--force', ...names], { timeoutMs: 240_000 })),
  );
  for (const host of lab.hosts) await host.docker(['network', 'rm', 'blue']);
  for (const host of lab.hosts) await leavesNoTrace(host);
  expect(await storeKeys(lab)).toEqual([]);
});

async function start(host: Host, name: string): Promise<string> {
  const idle = ['--stop-signal', 'KILL', toolsImage, 'sleep', 'infinity'];
  await host.docker(['run', '--detach', '--net', 'blue', '--name', name, ...idle], { timeoutMs: 240_000 });
  return addressOf(host, 'blue', name);
}
