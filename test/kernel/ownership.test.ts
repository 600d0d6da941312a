/** weft touches nothing but its own. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { explain } from '../../src/errors.ts';
import { diff } from '../../src/kernel/diff.ts';
import { type Change, emptyState } from '../../src/kernel/state.ts';
import { type Host, openHost } from './host.ts';
import { routed } from './states.ts';

let host: Host;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

/** Everything in the host's namespace, counters and timers apart. */
const everything = () =>
  host.run(`ip -o link | cut -d' ' -f2-9; ip -o addr | cut -d' ' -f2-7
    ip route show table all; ip -6 route show table all | sed 's/ expires.*//'; ip rule; ip -6 rule`);

test('what others made is neither read nor changed, and all of weft’s goes', async () => {
  host.run(`ip link add other0 type bridge
    ip link set other0 up
    ip addr add 172.30.0.1/16 dev other0
    ip route add 172.31.0.0/16 via 10.9.0.7
    ip route add unreachable 172.29.0.0/16 metric 50
    ip rule add priority 50 from 172.30.0.0/16 lookup 50`);
  // Until then its flags change by themselves (duplicate address detection, RFC 4862).
  await vi.waitUntil(() => host.run('ip -6 addr show tentative').trim() === '', { timeout: 20_000 });
  const before = everything();
  expect(await host.kernel.host.read()).toEqual(emptyState);
  await host.kernel.host.apply(diff(emptyState, routed));
  await host.kernel.host.apply(diff(await host.kernel.host.read(), emptyState));
  expect(everything()).toBe(before);
});

test.each([
  { destination: '10.77.0.64/26', via: '10.9.0.2', other: '10.9.0.9' },
  { destination: 'fd77::40/122', via: 'fd09::2', other: 'fd09::9' },
])('a route of someone else’s to $destination is neither replaced nor deleted', async (of) => {
  const { destination, via, other } = of;
  const route = { destination, type: 'unicast', via } as const;
  host.run(`ip route add ${destination} via ${other} proto static`);
  const present = () => {
    const family = destination.includes(':') ? '-6' : '-4';
    return host.run(`ip ${family} route show ${destination}`).trim().split(/\s*\n/).sort();
  };
  const before = present();
  await host.kernel.host.apply([{ do: 'put', kind: 'route', object: route }]);
  const own = expect.stringContaining(`${destination} via ${via} dev eth0 proto 119 metric 119`);
  expect(present()).toHaveLength(2);
  expect(present()).toEqual(expect.arrayContaining([...before, own]));
  expect((await host.kernel.host.read()).routes).toEqual([{ ...route, link: 'eth0' }]);
  await host.kernel.host.apply([{ do: 'delete', kind: 'route', object: route }]);
  await host.kernel.host.apply([{ do: 'delete', kind: 'route', object: route }]);
  expect(present()).toEqual(before);
});

test('an IPv6 address that the kernel makes up to hide behind is none to be known by', async () => {
  host.run(`sysctl -qw net.ipv6.conf.eth0.use_tempaddr=2
    ip addr add fd08::1/64 dev eth0 nodad mngtmpaddr`);
  expect(host.run('ip -6 addr show dev eth0 temporary')).toContain('fd08::');
  const addresses = (await host.kernel.addresses()).map(({ address }) => address);
  expect(addresses.filter((address) => address.startsWith('fd08:'))).toEqual(['fd08::1']);
});

test('in a namespace of a network’s own, what others made is in the way, and goes', async () => {
  const own = await host.kernel.namespace('weft-7');
  host.run(`nsenter --net=${host.runDir}/netns/weft-7 sh -ec '
    ip link add stray type bridge
    ip link set stray up
    ip addr add 10.1.1.1/24 dev stray
    ip route add 10.2.0.0/16 via 10.1.1.2
    ip rule add priority 9 from 10.1.1.0/24 lookup 9'`);
  const found = await own.read();
  expect(found.routes).toEqual([
    { destination: '10.2.0.0/16', type: 'unicast', link: 'stray', via: '10.1.1.2' },
  ]);
  expect(found.rules).toHaveLength(1);
  await own.apply(diff({ ...found, links: [] }, emptyState));
  expect(await own.read()).toEqual({ ...emptyState, links: found.links });
  await own.apply(diff(found, emptyState));
  expect(await own.read()).toEqual(emptyState);
});

describe('a failure', () => {
  const failing = async (change: Change) =>
    host.kernel.host.apply([change]).then(
      () => 'it did not fail',
      (error: unknown) => explain(error),
    );

  test('tells the kernel’s own words', async () => {
    const object = { destination: '10.77.0.64/26', type: 'unicast', via: '192.0.2.1' } as const;
    expect(await failing({ do: 'put', kind: 'route', object })).toContain(
      'could not add route 10.77.0.64/26 via 192.0.2.1: Nexthop has invalid gateway (ENETUNREACH)',
    );
  });

  test('tells who has the VNI', async () => {
    host.run('ip link add vx9 type vxlan id 9 dstport 4789 local 10.9.0.1');
    const object = {
      kind: 'vxlan',
      name: 'weftvx',
      mtu: 1450,
      mac: '02:5c:00:00:00:01',
      up: true,
      vni: 9,
      local: '10.9.0.1',
      port: 4789,
      suppressNeighbours: false,
      looseSource: false,
    } as const;
    const sentence = await failing({ do: 'put', kind: 'link', object });
    expect(sentence).toMatch(/could not add vxlan weftvx: .*VNI.*EEXIST/);
  });
});

test('a thousand entries and a hundred links come and go', async () => {
  const links = Array.from({ length: 100 }, (_, n) => ({
    kind: 'bridge' as const,
    name: `weftb${n}`,
    mtu: 1500,
    mac: `02:5b:00:00:01:${n.toString(16).padStart(2, '0')}`,
    up: true,
  }));
  const neighbours = Array.from({ length: 1000 }, (_, n) => ({
    link: `weftb${n % 100}`,
    address: `10.78.${n >> 8}.${n & 255}`,
    mac: '02:57:00:00:00:01',
  }));
  const desired = { ...emptyState, links, neighbours };
  await host.kernel.host.apply(diff(emptyState, desired));
  expect(diff(await host.kernel.host.read(), desired)).toEqual([]);
  await host.kernel.host.apply(diff(desired, emptyState));
  expect(await host.kernel.host.read()).toEqual(emptyState);
});

test('containers that start and stop at once do not get in each other’s way', async () => {
  const attach = (n: number): Change[] => [
    {
      do: 'put',
      kind: 'link',
      object: {
        kind: 'veth',
        name: `weft${n}h`,
        mtu: 1500,
        mac: 'ee:ee:ee:ee:ee:ee',
        up: true,
        strictSource: true,
        peer: { name: `weft${n}c`, mac: '02:57:00:00:00:01', mtu: 1500 },
      },
    },
    { do: 'put', kind: 'address', object: { link: `weft${n}h`, address: '169.254.1.1/32', scope: 'link' } },
    {
      do: 'put',
      kind: 'route',
      object: { destination: `10.77.0.${n}/32`, type: 'unicast', link: `weft${n}h` },
    },
  ];
  const all = Array.from({ length: 20 }, (_, n) => n);
  await Promise.all(all.map((n) => host.kernel.host.apply(attach(n))));
  expect((await host.kernel.host.read()).routes).toHaveLength(20);
  const detach = (n: number) =>
    attach(n)
      .slice(0, 1)
      .map((change): Change => ({ ...change, do: 'delete' }));
  await Promise.all(all.map((n) => host.kernel.host.apply(detach(n))));
  expect(await host.kernel.host.read()).toEqual(emptyState);
});
