/** Both wirings, between two hosts, with packets. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { diff } from '../../src/kernel/diff.ts';
import { emptyState, type NamespaceState } from '../../src/kernel/state.ts';
import { addContainer, type Host, openHost, restarted, type Space } from './host.ts';

const waiting = { timeout: 20_000, interval: 50 };

let a: Host;
let b: Host;
let containers: Space[];
beforeEach(async () => {
  a = await openHost(1);
  b = await openHost(2, a);
  containers = [];
  await vi.waitUntil(() => a.pings('10.9.0.2') && a.pings('fd09::2'), waiting);
});
afterEach(async () => {
  await a.close();
  await b.close();
  for (const container of containers) container.remove();
});

function contain(host: Host, containerEnd: string, setUp: string): Space {
  const container = addContainer(host, containerEnd, setUp);
  containers.push(container);
  return container;
}

describe('routed', () => {
  const state = (last: number, remoteBlocks: readonly string[], remote: number): NamespaceState => ({
    ...emptyState,
    links: [
      {
        kind: 'veth',
        name: 'weftah',
        mtu: 1500,
        mac: 'ee:ee:ee:ee:ee:ee',
        up: true,
        strictSource: true,
        peer: { name: 'weftac', mac: `02:57:0a:4d:00:0${last}`, mtu: 1400 },
      },
    ],
    addresses: [
      { link: 'weftah', address: '169.254.1.1/32', scope: 'link' },
      { link: 'weftah', address: 'fe80::1/128', scope: 'link' },
    ],
    routes: [
      { destination: `10.77.${last}.5/32`, type: 'unicast', link: 'weftah' },
      { destination: `fd77:0:0:${last}::5/128`, type: 'unicast', link: 'weftah' },
      ...remoteBlocks.map((destination) => {
        const via = destination.includes(':') ? `fd09::${remote}` : `10.9.0.${remote}`;
        return { destination, type: 'unicast', link: 'eth0', via } as const;
      }),
    ],
  });
  const inside = (last: number) => `
    ip addr add 10.77.${last}.5/32 dev eth0
    ip addr add fd77:0:0:${last}::5/128 dev eth0 nodad
    ip route add 169.254.1.1 dev eth0
    ip route add default via 169.254.1.1
    ip route add default via fe80::1 dev eth0`;

  async function wire(): Promise<[Space, Space]> {
    await a.kernel.host.apply(diff(emptyState, state(1, ['10.77.2.0/24', 'fd77:0:0:2::/64'], 2)));
    await b.kernel.host.apply(diff(emptyState, state(2, ['10.77.1.0/24', 'fd77:0:0:1::/64'], 1)));
    a.kernel.enableForwarding([4, 6]);
    b.kernel.enableForwarding([4, 6]);
    return [contain(a, 'weftac', inside(1)), contain(b, 'weftac', inside(2))];
  }

  test('carries packets of both families between containers and hosts', async () => {
    const [one] = await wire();
    for (const address of ['10.77.2.5', 'fd77:0:0:2::5', '10.9.0.2', 'fd09::2']) {
      await vi.waitUntil(() => one.pings(address), waiting);
    }
    await vi.waitUntil(() => a.pings('10.77.1.5') && a.pings('10.77.2.5'), waiting);
  });

  test('carries them through the FORWARD chain that Docker closes', async () => {
    const [one] = await wire();
    for (const host of [a, b]) host.run('iptables-nft -P FORWARD DROP');
    expect(one.pings('10.77.2.5')).toBe(false);
    await a.kernel.ensureForwardAccept();
    await b.kernel.ensureForwardAccept();
    await vi.waitUntil(() => one.pings('10.77.2.5'), waiting);
  });

  test('gives the container’s end the MAC and MTU that were asked for', async () => {
    const [one] = await wire();
    expect(one.run('ip -o link show eth0')).toMatch(/mtu 1400 .* 02:57:0a:4d:00:01 /);
  });

  test('drops packets from addresses that are not the container’s', async () => {
    const [one] = await wire();
    const dropped = () => {
      const [names = '', values = ''] = a.run('grep ^TcpExt: /proc/net/netstat').split('\n');
      return Number(values.split(' ')[names.split(' ').indexOf('IPReversePathFilter')]);
    };
    await vi.waitUntil(() => one.pings('10.77.2.5'), waiting);
    const before = dropped();
    one.run('ip addr add 10.77.2.99/32 dev eth0; ping -q -c 1 -W 1 -I 10.77.2.99 10.77.2.5 || true');
    expect(dropped()).toBeGreaterThan(before);
  });

  test('answers at once for what leads nowhere', async () => {
    const [one] = await wire();
    await a.kernel.host.apply([
      { do: 'put', kind: 'route', object: { destination: '10.77.0.0/16', type: 'unreachable' } },
    ]);
    await vi.waitUntil(() => one.pings('10.77.2.5'), waiting);
    expect(one.run('ping -c 1 -W 5 10.77.9.9 || true')).toContain('Destination Host Unreachable');
  });

  test('has links without addresses of their own', async () => {
    await wire();
    expect(a.run('ip -o -6 addr show dev weftah')).toMatch(/^\S+ weftah\s+inet6 fe80::1\/128 [^\n]*\n$/);
  });
});

describe('vxlan', () => {
  const state = (number: number, remote: number, peers = true): NamespaceState => ({
    links: [
      { kind: 'bridge', name: 'br0', mtu: 1500, mac: '02:5b:00:00:00:01', up: true },
      {
        kind: 'vxlan',
        name: 'vx0',
        mtu: 1500,
        mac: `02:5c:00:00:01:0${number}`,
        up: true,
        master: 'br0',
        vni: 4097,
        local: `10.9.0.${number}`,
        port: 4789,
        suppressNeighbours: true,
        looseSource: false,
      },
      {
        kind: 'veth',
        name: 'weftah',
        mtu: 1450,
        mac: '02:5c:00:00:00:03',
        up: true,
        master: 'br0',
        strictSource: false,
        peer: { name: 'weftac', mac: `02:57:0a:4e:00:0${number}`, mtu: 1450 },
      },
    ],
    addresses: [],
    routes: [],
    rules: [],
    shortcuts: [],
    ports: [],
    prefixes: [],
    fdb: peers
      ? [
          { link: 'vx0', table: 'self', mac: `02:57:0a:4e:00:0${remote}`, vtep: `10.9.0.${remote}` },
          { link: 'vx0', table: 'master', mac: `02:57:0a:4e:00:0${remote}` },
        ]
      : [],
    neighbours: peers
      ? [
          { link: 'br0', address: `10.78.0.${remote}`, mac: `02:57:0a:4e:00:0${remote}` },
          { link: 'br0', address: `fd78::${remote}`, mac: `02:57:0a:4e:00:0${remote}` },
        ]
      : [],
  });
  const inside = (number: number) => `
    ip addr add 10.78.0.${number}/24 dev eth0
    ip addr add fd78::${number}/64 dev eth0 nodad`;

  test('carries packets of both families between containers, the device in a namespace of its own', async () => {
    const own = await a.kernel.namespace('weft-4097');
    await own.apply(diff(emptyState, state(1, 2)));
    await (await b.kernel.namespace('weft-4097')).apply(diff(emptyState, state(2, 1)));
    const one = contain(a, 'weftac', inside(1));
    contain(b, 'weftac', inside(2));
    await vi.waitUntil(() => one.pings('10.78.0.2'), waiting);
    await vi.waitUntil(() => one.pings('fd78::2'), waiting);
    expect(diff(await own.read(), state(1, 2))).toEqual([]);
  });

  test('is found again, as it was, by a weft that starts anew', async () => {
    await (await a.kernel.namespace('weft-4097')).apply(diff(emptyState, state(1, 2)));
    const far = await b.kernel.namespace('weft-4097');
    await far.apply(diff(emptyState, state(2, 1)));
    const one = contain(a, 'weftac', inside(1));
    contain(b, 'weftac', inside(2));
    await vi.waitUntil(() => one.pings('10.78.0.2'), waiting);
    b = await restarted(b);
    expect(one.pings('10.78.0.2')).toBe(true);
    expect(diff(await (await b.kernel.namespace('weft-4097')).read(), state(2, 1))).toEqual([]);
  });

  test('takes the containers’ ends along when the namespace is removed', async () => {
    await (await a.kernel.namespace('weft-4097')).apply(diff(emptyState, state(1, 2)));
    const one = contain(a, 'weftac', inside(1));
    await a.kernel.removeNamespace('weft-4097');
    expect(one.run('ip -o link')).not.toContain('eth0');
    expect(a.run('ss -Hlun')).not.toContain(':4789');
  });
});
