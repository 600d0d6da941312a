/** weft itself fails, and what it stands on. */
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeAll, expect, test } from 'vitest';
import {
  bothFabrics,
  complaint,
  createNetwork,
  leavesNoTrace,
  pings,
  pluginName,
  removeContainers,
  startContainer,
  storeKeys,
  termsOf,
} from '../cluster/cluster.ts';
import { pingSteadily } from '../cluster/steady-ping.ts';
import { testCluster } from '../cluster/test-lab.ts';
import { isEnabled, pidOfWeft } from '../cluster/weft-process.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { removeDead } from '../soak/cluster/containers.ts';
import { checkWhole } from '../soak/cluster/invariants.ts';
import { weftFrozen, weftKilled, weftKilledTwice } from './faults.ts';

const lab = testCluster({
  name: 'fault',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
  ],
  settings: { WEFT_RESYNC_SECONDS: '5' },
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

beforeAll(async () => {
  for (const network of bothFabrics) {
    for (const host of lab.hosts) await createNetwork(host, network.name, termsOf(network));
  }
});

afterEach(async () => {
  for (const host of lab.hosts) await removeContainers(host);
});

test.each(bothFabrics)(
  '$name: weft killed while containers ping: no ping is lost, and the next starts',
  async ({ name }) => {
    await startContainer(h1, name, 'pinger');
    const target = await startContainer(h2, name, 'target');
    await pings(h1, 'pinger', target);
    const pinging = h1.docker(['exec', 'pinger', 'ping', '-i', '0.05', '-c', '120', target]);
    for (const host of [h1, h2]) {
      const before = await pidOfWeft(host);
      await host.exec(['kill', '-9', before]);
      await waitFor(`weft is back on ${host.name}`, async () => (await pidOfWeft(host)) !== before);
    }
    expect(await pinging).toContain('120 packets transmitted, 120 packets received, 0% packet loss');
    const next = await startContainer(h1, name, 'next');
    await pings(h2, 'target', next);
  },
);

test('weft killed while Docker waits for it, sooner or later: Docker, store and kernels agree in the end', async () => {
  for (const [index, delayMs] of [0, 60, 120, 180, 240, 300].entries()) {
    const { name } = bothFabrics[index % 2 === 0 ? 0 : 1];
    // Killed too late, it starts.
    const starting = startContainer(h1, name, `c${delayMs}`).catch(() => undefined);
    await setTimeout(delayMs);
    await weftKilled(h1).strike();
    await starting;
    await waitFor('a container starts', async () => {
      await removeDead(h1);
      await startContainer(h1, name, `next${delayMs}`);
      return true;
    });
  }
  await waitFor(
    'all agrees',
    async () => {
      await removeDead(h1);
      await checkWhole(lab);
      return true;
    },
    120_000,
  );
});

test('weft killed again as soon as it is started: it is back, by itself or enabled, and no ping is lost', async () => {
  await startContainer(h1, 'blue', 'pinger');
  const target = await startContainer(h2, 'blue', 'target');
  await pings(h1, 'pinger', target);
  const pinging = pingSteadily(h1, 'pinger', target, 0.05);
  const enable = await weftKilledTwice(h1).strike();
  await enable();
  await pings(h2, 'target', await startContainer(h1, 'blue', 'next'));
  expect((await pinging.end()).lost).toEqual([]);
});

test('with weft frozen no ping is lost, and a container that is asked for starts when it thaws', async () => {
  await startContainer(h1, 'red', 'pinger');
  const target = await startContainer(h2, 'red', 'target');
  await pings(h1, 'pinger', target);
  const pinging = pingSteadily(h1, 'pinger', target, 0.05);
  const thaw = await weftFrozen(h1).strike();
  const starting = startContainer(h1, 'red', 'next');
  await setTimeout(2_000);
  await thaw();
  await pings(h2, 'target', await starting);
  const { sent, lost } = await pinging.end();
  expect(sent).toBeGreaterThan(20);
  expect(lost).toEqual([]);
});

test('a restarted weft writes nothing to a kernel that is right', async () => {
  for (const { name } of bothFabrics) await startContainer(h1, name, `still-${name}`);
  const before = await kernelOf(h1);
  await h1.docker(['plugin', 'disable', '--force', pluginName]);
  expect(await kernelOf(h1)).toBe(before);
  await h1.docker(['plugin', 'enable', pluginName]);
  await startContainer(h1, 'blue', 'after');
  await h1.docker(['rm', '--force', 'after']);
  expect(await kernelOf(h1)).toBe(before);
});

/** Links with their numbers (a link made anew has another), routes and pins. */
function kernelOf(host: Host): Promise<string> {
  return host.exec(['sh', '-c', 'ip -o -br link | grep weft; ip route show proto 119; ls -i /run/netns']);
}

test('removals made while the store is away are settled when it is back', async () => {
  for (const { name } of bothFabrics) await startContainer(h1, name, `gone-${name}`);
  await lab.etcd.members[0]?.kill();
  for (const { name } of bothFabrics) await h1.docker(['rm', '--force', `gone-${name}`]);
  const refusal = await complaint(createNetwork(h1, 'green', ['--subnet', '10.79.0.0/24']));
  expect(refusal).toContain('the store is away');
  await lab.etcd.start();
  const left = async () => (await storeKeys(lab)).filter((key) => key.includes('/endpoints/'));
  await waitFor('the endpoints are gone from the store', async () => (await left()).length === 0, 120_000);
});

test('what others break is repaired', async () => {
  await startContainer(h1, 'blue', 'here');
  const target = await startContainer(h2, 'blue', 'there');
  await pings(h1, 'here', target);
  const route = (await h1.exec(['ip', 'route', 'show', 'proto', '119']))
    .split('\n')
    .find((line) => / via /.test(line));
  await h1.exec(['ip', 'route', 'del', ...(route ?? '').trim().split(/ +/).slice(0, 3)]);
  await h1.exec(['nft', 'delete', 'table', 'inet', 'weft']);
  await waitFor(
    'the route and the table are back',
    async () => {
      const now = await h1.exec(['sh', '-c', 'ip route show proto 119; nft list tables']);
      return now.includes(route ?? 'no route') && now.includes('inet weft');
    },
    60_000,
  );
  await pings(h1, 'here', target);
});

test('with the store away at boot the plugin is enabled, says so, and works when it is back', async () => {
  for (const host of lab.hosts)
    for (const { name } of bothFabrics) await host.docker(['network', 'rm', name]);
  for (const host of lab.hosts) await leavesNoTrace(host);
  await lab.etcd.members[0]?.kill();
  await h1.stopDockerd();
  await h1.startDockerd();
  expect(await isEnabled(h1)).toBe(true);
  expect(await complaint(createNetwork(h1, 'green', ['--subnet', '10.79.0.0/24']))).toContain(
    'the store is away',
  );
  await lab.etcd.start();
  await waitFor('a network can be made', async () => {
    await createNetwork(h1, 'green', ['--subnet', '10.79.0.0/24']);
    return true;
  });
  expect(await isEnabled(h1)).toBe(true);
  await startContainer(h1, 'green', 'first');
});
