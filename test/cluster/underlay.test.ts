/** What lies between the hosts: a router, a switch that drops, unequal MTUs, an address that moves. */
import { beforeAll, describe, expect, test } from 'vitest';
import { uplinkMoved } from '../fault/faults.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { addressOf, createNetwork, pings, startContainer } from './cluster.ts';
import { allReachAll } from './reach.ts';
import { fetchFrom, hears, serve } from './servers.ts';
import { everyDocker, testCluster } from './test-lab.ts';

/** By now everything must reach everything again, whatever the underlay has begun to drop. */
const recoveryMs = 10_000;

const networks = [
  { name: 'blue', subnet: '10.77.0.0/16', options: [] },
  { name: 'red', subnet: '10.78.0.0/16', options: ['-o', 'weft.fabric=vxlan'] },
  { name: 'white', subnet: '10.79.0.0/16', options: ['-o', 'weft.encap=always'] },
];

const lab = testCluster({ name: 'underlay', hosts: everyDocker, segments: 2, mtu: 9000 });
/** On one link, and behind a router from there. */
const near = [lab.host('h1'), lab.host('h3')] as const;
const far = lab.host('h2');

beforeAll(async () => {
  for (const { name } of lab.hosts) await lab.guard(name);
  for (const { name, subnet, options } of networks) {
    for (const host of lab.hosts) {
      await createNetwork(host, name, ['--subnet', subnet, '-o', `weft.network=${name}`, ...options]);
      await startContainer(host, name, `${name}1`);
    }
  }
});

interface Way {
  readonly from: Host;
  readonly container: string;
  readonly to: Host;
  readonly address: string;
}

/** From the container of each host to that of each other. */
async function waysOf(network: string): Promise<Way[]> {
  const container = `${network}1`;
  const ends = await Promise.all(
    lab.hosts.map(async (host) => ({ host, address: await addressOf(host, network, container) })),
  );
  return ends.flatMap(({ host: from }) =>
    ends
      .filter(({ host }) => host !== from)
      .map(({ host: to, address }) => ({ from, container, to, address })),
  );
}

async function everythingReachesEverything(withinMs?: number): Promise<void> {
  for (const { name } of networks) await allReachAll(lab.hosts, name, `${name}1`, withinMs);
}

function routes(host: Host): Promise<string> {
  return host.exec(['ip', 'route', 'show', 'proto', '119']);
}

/** Waits until the two hosts on one link send to each other the one way or the other, in network blue. */
async function nearHostsSend(how: 'directly' | 'encapsulated'): Promise<void> {
  for (const [host, other] of [near, near.toReversed()]) {
    const pattern = new RegExp(
      `^10\\.77\\.\\S+ via ${other?.address} dev ${how === 'directly' ? 'eth0' : 'weft-l3'} `,
      'm',
    );
    await waitFor(
      `${host?.name} sends ${how}`,
      async () => host !== undefined && pattern.test(await routes(host)),
    );
  }
}

/** What leaves the first host when it sends ten pings to the other. */
async function sent(
  from: Host,
  network: string,
  to: Host,
): Promise<{ encapsulated: number; foreign: number }> {
  const address = await addressOf(to, network, `${network}1`);
  await lab.tally(from.name);
  await from.docker(['exec', `${network}1`, 'ping', '-c', '10', '-i', '0.1', address]);
  return lab.tallied(from.name);
}

describe('where the underlay drops addresses of containers, from the start', () => {
  test('everything reaches everything, encapsulated', async () => {
    await everythingReachesEverything();
    await nearHostsSend('encapsulated');
    expect(await sent(near[0], 'blue', near[1])).toMatchObject({ encapsulated: 10, foreign: 0 });
  });

  test('hosts reach containers of others by their own address, and are answered', async () => {
    for (const host of lab.hosts) {
      for (const { name } of networks.filter(({ name }) => name !== 'red')) {
        for (const other of lab.hosts.filter((each) => each !== host)) {
          const address = await addressOf(other, name, `${name}1`);
          await host.exec(['ping', '-c', '1', '-W', '2', address]);
        }
      }
    }
    const [h1, h3] = near;
    const address = await serve(h1, 'blue', 'web', []);
    for (const other of [h3, far]) {
      await hears(other.name, () => fetchFrom(other, address, 80), `web hears ${other.address}`);
    }
    await h1.docker(['rm', '--force', 'web']);
    await lab.tally(h1.name);
    await h3.exec(['ping', '-c', '10', '-i', '0.1', await addressOf(h1, 'blue', 'blue1')]);
    expect(await lab.tallied(h1.name)).toMatchObject({ encapsulated: 10, foreign: 0 });
  });

  test('packets go as they are when it no longer does', async () => {
    for (const { name } of lab.hosts) await lab.unguard(name);
    await nearHostsSend('directly');
    await everythingReachesEverything();
  });
});

describe('where it lets them pass', () => {
  test('hosts on one link send without encapsulation, and over a router with it', async () => {
    const [h1, h3] = near;
    expect(await sent(h1, 'blue', h3)).toEqual({ encapsulated: 0, foreign: 10 });
    expect(await sent(h3, 'blue', h1)).toEqual({ encapsulated: 0, foreign: 10 });
    expect(await sent(h1, 'blue', far)).toEqual({ encapsulated: 10, foreign: 0 });
    expect(await sent(far, 'blue', h1)).toEqual({ encapsulated: 10, foreign: 0 });
    expect(await sent(h1, 'white', h3)).toEqual({ encapsulated: 10, foreign: 0 });
  });

  test.each([0, 1])('it may begin to drop those of one host: %i', async (which) => {
    const { name } = near[which] ?? far;
    await lab.guard(name);
    await everythingReachesEverything(recoveryMs);
    await nearHostsSend('encapsulated');
    await lab.unguard(name);
    await nearHostsSend('directly');
    await everythingReachesEverything();
  });

  test('hosts with strict reverse-path filters come to the same', async () => {
    for (const host of near) await host.exec(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1']);
    await everythingReachesEverything();
    await lab.guard(near[0].name);
    await everythingReachesEverything(recoveryMs);
    await nearHostsSend('encapsulated');
    await lab.unguard(near[0].name);
    await nearHostsSend('directly');
    await everythingReachesEverything();
    for (const host of near) await host.exec(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0']);
  });
});

/** Sizes of IP packets around everything that may be a limit. */
const allSizes = [
  ...[1300, 1400, 1401, 1450, 1451, 1500, 1501, 2000, 4000, 8000],
  ...[8950, 8951, 8999, 9000],
];

/** Pings that must not be cut up, each as if it were the first: by size, whether it was answered or refused. */
async function largePings(
  { from, container, address }: Way,
  sizes: readonly number[],
): Promise<Map<number, string>> {
  const pid = (await from.docker(['inspect', '--format', '{{.State.Pid}}', container])).trim();
  const script = `for size in ${sizes.join(' ')}; do
    ip route flush cache
    case $(ping -M do -c 1 -W 2 -s $((size - 28)) ${address} 2>&1) in
      *" 1 received"*) echo $size answered ;;
      *"rag needed"* | *"essage too long"*) echo $size refused ;;
      *) echo $size lost ;;
    esac
  done`;
  const output = await from.exec(['nsenter', '--target', pid, '--net', 'sh', '-c', script]);
  return new Map(output.split('\n').map((line) => [Number(line.split(' ')[0]), line.split(' ')[1] ?? '']));
}

/** The largest that is answered; everything above must be refused. */
async function limitOf(way: Way, sizes: readonly number[]): Promise<number> {
  const fates = await largePings(way, sizes);
  const answered = sizes.filter((size) => fates.get(size) === 'answered');
  const limit = Math.max(...answered);
  const expected = sizes.map((size) => `${size} ${size <= limit ? 'answered' : 'refused'}`);
  expect(
    sizes.map((size) => `${size} ${fates.get(size)}`),
    describeWay(way),
  ).toEqual(expected);
  return limit;
}

function describeWay({ from, container, to }: Way): string {
  return `${container} on ${from.name} to ${to.name}`;
}

async function limits(network: string, sizes = allSizes): Promise<Record<string, number>> {
  const ways = await waysOf(network);
  const found: Record<string, number> = {};
  await Promise.all(
    lab.hosts.map(async (host) => {
      // One after the other: they share a cache of what was refused.
      for (const way of ways.filter(({ from }) => from === host)) {
        found[`${way.from.name} ${way.to.name}`] = await limitOf(way, sizes);
      }
    }),
  );
  return found;
}

describe('a packet that is too large is answered so, and never lost', () => {
  test('where all uplinks take 9000 bytes', async () => {
    expect(await limits('blue')).toEqual({
      ...{ 'h1 h2': 8950, 'h1 h3': 9000, 'h2 h1': 8950, 'h2 h3': 8950, 'h3 h1': 9000, 'h3 h2': 8950 },
    });
    expect(new Set(Object.values(await limits('red')))).toEqual(new Set([8950]));
  });

  test('where one has come to take 1500, and one 1450, under containers that run', async () => {
    const [h1, h3] = near;
    await lab.setMtu(h3.name, 1500);
    await lab.setMtu(far.name, 1450);
    await waitFor('h1 knows of both', async () => {
      const known = await routes(h1);
      return / mtu 1500\b/.test(known) && / mtu 1450\b/.test(known);
    });
    expect(await limits('blue')).toEqual({
      ...{ 'h1 h2': 1400, 'h1 h3': 1500, 'h2 h1': 1400, 'h2 h3': 1400, 'h3 h1': 1500, 'h3 h2': 1400 },
    });
    expect(await limits('red')).toEqual({
      ...{ 'h1 h2': 1400, 'h1 h3': 1450, 'h2 h1': 1400, 'h2 h3': 1400, 'h3 h1': 1450, 'h3 h2': 1400 },
    });
  });

  test('between containers started before and after', async () => {
    for (const { name } of networks) {
      await far.docker(['rm', '--force', `${name}1`]);
      await startContainer(far, name, `${name}1`);
    }
    await everythingReachesEverything();
    for (const { name } of networks) await limits(name, [1300, 1400, 1451, 4000]);
  });
});

test('an uplink that gets another address, or none for a while, is followed without a restart', async () => {
  const [host] = near;
  const moveBack = await uplinkMoved(host).strike();
  await waitFor('the others know', async () => {
    const known = await Promise.all(lab.hosts.filter((other) => other !== host).map(routes));
    return known.every((text) => text.includes('via 10.9.1.77 ') && !text.includes(`via ${host.address} `));
  });
  await everythingReachesEverything();
  await moveBack();
  await nearHostsSend('directly');
  await everythingReachesEverything();
});

test('weft that starts anew goes on as before', async () => {
  const [host, other] = near;
  const before = await routes(host);
  await host.docker(['plugin', 'disable', '--force', 'weft-plugin']);
  await lab.tally(host.name);
  await pings(host, 'blue1', await addressOf(other, 'blue', 'blue1'));
  await host.docker(['plugin', 'enable', 'weft-plugin']);
  await startContainer(host, 'blue', 'blue2');
  await host.docker(['rm', '--force', 'blue2']);
  await pings(host, 'blue1', await addressOf(other, 'blue', 'blue1'));
  expect(await routes(host)).toBe(before);
  expect(await lab.tallied(host.name)).toMatchObject({ encapsulated: 0 });
});
