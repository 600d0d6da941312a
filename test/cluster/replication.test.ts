/** A network made on one host is on all of them, under its name, by each host's Docker API. */
import { afterEach, beforeAll, expect, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import {
  createNetwork,
  networksOf,
  nothingIsLeft,
  pings,
  pluginName,
  startContainer,
  sweep,
  waitForNetwork,
} from './cluster.ts';
import { testLab } from './test-lab.ts';
import { pidOfWeft } from './weft-process.ts';

const lab = testLab({
  name: 'repl',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
    { name: 'h3', docker: '20.10' },
    { name: 'h4', docker: '26.1' },
  ],
  etcd: { members: 1 },
});
const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];
/** Has no weft until it joins. */
const h4 = lab.host('h4');

beforeAll(async () => {
  await Promise.all([h1, h2, h3].map(install));
});

/** Each test takes its networks away, and nothing of them stays anywhere. */
afterEach(async () => {
  await sweep(lab.hosts);
  await nothingIsLeft(lab);
});

async function install(host: Host): Promise<void> {
  await host.installPlugin(await buildPlugin(), pluginName, {
    WEFT_ETCD_ENDPOINTS: lab.etcd.endpoints,
    WEFT_RESYNC_SECONDS: '5',
  });
}

async function waitForNone(name: string, hosts: readonly Host[], timeoutMs?: number): Promise<void> {
  for (const host of hosts) {
    const isGone = async () => !(await networksOf(host)).includes(name);
    await waitFor(`${host.name} has no network ${name}`, isGone, timeoutMs);
  }
}

/** What `docker network inspect` shows of what the user gave. */
async function inspect(host: Host, name: string): Promise<unknown> {
  const [network] = JSON.parse(await host.docker(['network', 'inspect', name]));
  const { Driver, EnableIPv6, Internal, Attachable, Options, Labels, IPAM } = network;
  return { Driver, EnableIPv6, Internal, Attachable, Options, Labels, IPAM };
}

async function subnetOf(host: Host, name: string): Promise<string> {
  return (
    await host.docker(['network', 'inspect', '--format', '{{(index .IPAM.Config 0).Subnet}}', name])
  ).trim();
}

test('containers of all hosts reach each other by name on a network that one host made', async () => {
  await createNetwork(h1, 'blue');
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  await startContainer(h2, 'blue', 'web');
  await startContainer(h3, 'blue', 'data');
  await startContainer(h1, 'blue', 'cli');
  for (const name of ['web', 'data']) await pings(h1, 'cli', name);
  await pings(h3, 'data', 'web');
});

test('inspect shows on all hosts what was given on one', async () => {
  await createNetwork(h3, 'all.of_it-1', [
    ...['--ipv6', '--subnet', '10.77.0.0/16', '--ip-range', '10.77.4.0/24', '--gateway', '10.77.0.9'],
    ...['--subnet', 'fd77::/64', '--aux-address', 'router=10.77.0.7', '--internal', '--attachable'],
    ...['-o', 'weft.fabric=vxlan', '-o', 'weft.network=azure', '--ipam-opt', 'weft.network=azure'],
    ...['--label', 'com.example.a=b c', '-o', 'com.docker.network.driver.mtu=1300'],
  ]);
  for (const host of [h1, h2]) {
    await waitForNetwork(host, 'all.of_it-1');
    expect(await inspect(host, 'all.of_it-1')).toEqual(await inspect(h3, 'all.of_it-1'));
  }
});

test('a removal spreads when nobody uses the network', async () => {
  await createNetwork(h1, 'blue', ['--ipv6']);
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  await h2.docker(['network', 'rm', 'blue']);
  await waitForNone('blue', [h1, h2, h3]);
});

test('who removes it while another uses it is left without, and may come back', async () => {
  await createNetwork(h1, 'blue');
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  const web = await startContainer(h2, 'blue', 'web');
  await h1.docker(['network', 'rm', 'blue']);
  await createNetwork(h3, 'later');
  await waitForNetwork(h1, 'later');
  expect(await networksOf(h1)).toEqual(['later']);
  expect(await networksOf(h3)).toContain('blue');

  await createNetwork(h1, 'blue');
  const subnet = await subnetOf(h2, 'blue');
  await waitFor('h1 is back on the network', async () => (await subnetOf(h1, 'blue')) === subnet);
  await startContainer(h1, 'blue', 'cli');
  await pings(h1, 'cli', web);
});

test('one name made on all hosts at once becomes one network', async () => {
  const hosts = [h1, h2, h3];
  // Docker itself refuses it where the network of another host came first; 20.10 may have two for a moment.
  const outcomes = await Promise.allSettled(hosts.map((host) => createNetwork(host, 'blue')));
  expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
  await waitFor('all have the same subnet', async () => {
    const subnets = await Promise.all(hosts.map((host) => subnetOf(host, 'blue')));
    return new Set(subnets).size === 1;
  });
  const web = await startContainer(h2, 'blue', 'web');
  await startContainer(h3, 'blue', 'cli');
  await pings(h3, 'cli', web);
});

test('a foreign network of the name stays, until it goes by itself', async () => {
  await h2.docker(['network', 'create', '--driver', 'bridge', 'blue']);
  await createNetwork(h1, 'blue');
  await waitForNetwork(h3, 'blue');
  await waitFor('h2 says so in its log', async () => {
    return (await h2.exec(['cat', '/var/log/dockerd.log'])).includes(
      'a network of driver bridge has its name',
    );
  });
  expect(await networksOf(h2)).toEqual([]);
  await h2.docker(['network', 'rm', 'blue']);
  await waitFor('h2 has the other', async () => (await networksOf(h2)).includes('blue'));
});

test('a host may keep a network for itself', async () => {
  await createNetwork(h1, 'alone', ['-o', 'weft.replicate=off']);
  await createNetwork(h1, 'blue');
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  for (const host of [h2, h3]) expect(await networksOf(host)).toEqual(['blue']);
});

test('a daemon that starts again finds what was made, and removed, meanwhile', async () => {
  await createNetwork(h1, 'old');
  for (const host of [h2, h3]) await waitForNetwork(host, 'old');
  await Promise.all([h2.stopDockerd(), h3.killDockerd()]);
  await createNetwork(h1, 'blue');
  await h1.docker(['network', 'rm', 'old']);
  await Promise.all([h2.startDockerd(), h3.startDockerd()]);
  await waitForNone('old', [h2, h3]);
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  await createNetwork(h2, 'red');
  for (const host of [h1, h3]) await waitForNetwork(host, 'red');
});

/**
 * Docker starts it again at once. One that dies before Docker is done with that is left dead, and it is not done
 * while a call of its own still waits for the one that is gone: for 15 s.
 */
async function runsSteadily(host: Host): Promise<void> {
  await waitFor(`weft runs steadily on ${host.name}`, async () => {
    return Number(await host.exec(['ps', '-o', 'etimes=', '-p', await pidOfWeft(host)])) > 20;
  });
}

async function killWeft(host: Host): Promise<void> {
  await host.exec(['kill', '-9', await pidOfWeft(host)]);
}

test('what is made and removed while weft is killed comes out right', async () => {
  await Promise.all([h1, h2, h3].map(runsSteadily));
  await createNetwork(h1, 'blue');
  await Promise.all([h1, h2, h3].map(killWeft));
  for (const host of [h2, h3]) await waitForNetwork(host, 'blue');
  await createNetwork(h3, 'red');
  for (const host of [h1, h2]) await waitForNetwork(host, 'red');
  await Promise.all([h1, h2, h3].map(runsSteadily));
  await h2.docker(['network', 'rm', 'blue', 'red']);
  await Promise.all([h1, h2, h3].map(killWeft));
  // A removal that weft was killed in can cost Docker 15 s for each of its calls.
  for (const name of ['blue', 'red']) await waitForNone(name, [h1, h2, h3], 120_000);
});

test('a host that joins later has what is there', async () => {
  for (const name of ['blue', 'red']) await createNetwork(h1, name);
  const web = await startContainer(h1, 'blue', 'web');
  await install(h4);
  for (const name of ['blue', 'red']) await waitForNetwork(h4, name);
  await startContainer(h4, 'blue', 'cli');
  await pings(h4, 'cli', web);
});
