/** Who may send what to whom, with packets. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LocalEndpoint, NetworkView } from '../../src/fabric/fabric.ts';
import { hostTable } from '../../src/fabric/host-table.ts';
import { fabrics } from '../../src/fabric/registry.ts';
import { segmentTable, sendersOf } from '../../src/fabric/senders.ts';
import { diff } from '../../src/kernel/diff.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { containerEnd, macOf } from '../../src/model/names.ts';
import type { Network } from '../../src/model/records.ts';
import { tunnels } from '../unit/fabric/views.ts';
import { addBridged, addContainer, echoes, type Host, openHost, type Space } from './host.ts';

const waiting = { timeout: 20_000, interval: 50 };

let host: Host;
let spaces: Space[];
beforeEach(async () => {
  host = await openHost();
  spaces = [];
});
afterEach(async () => {
  await host.close();
  for (const space of spaces) space.remove();
});

const network = (key: string, pool: string, more: Partial<Network> = {}): Network => ({
  v: 1,
  key,
  fabric: 'routed',
  internal: false,
  pools: [pool],
  ...more,
});
const blue = network('blue', '10.77.0.0/16');
const red = network('red', '10.79.0.0/24');

function endpointAt(address: string, key = 'blue'): LocalEndpoint {
  const id = Buffer.from(address).toString('hex').slice(-20).padStart(64, '0');
  return {
    v: 1,
    id: id.split('').reverse().join(''),
    network: key,
    host: 'h1',
    mac: macOf(address),
    addresses: [address],
    slot: 1,
  };
}

const underlay = { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 };

function viewOf(net: Network, local: readonly LocalEndpoint[]): NetworkView {
  return {
    network: net,
    underlay,
    peers: new Map(),
    claims: [],
    beyond: [],
    shortcut: true,
    remote: [],
    local,
  };
}

function contain(endpoint: LocalEndpoint, setUp: string): Space {
  const space = addContainer(host, containerEnd(endpoint.id), setUp);
  spaces.push(space);
  return space;
}

/** Containers of routed networks, each in its own namespace, by address. */
async function routed(members: ReadonlyMap<Network, readonly string[]>): Promise<Map<string, Space>> {
  const fabric = fabrics.get('routed');
  const views = [...members].map(([net, addresses]) =>
    viewOf(
      net,
      addresses.map((address) => endpointAt(address, net.key)),
    ),
  );
  const endpoints = views.flatMap(({ local }) => local);
  host.kernel.enableForwarding([4]);
  for (const view of views) {
    const state = fabric?.desired(view) ?? emptyState;
    await host.kernel.host.apply(
      diff({ ...emptyState, ...(await host.kernel.host.read()), links: [] }, state).filter(
        (change) => change.do === 'put',
      ),
    );
  }
  const table = () =>
    hostTable({
      underlay,
      networks: [...members.keys()],
      segments: [],
      uplinks: ['eth0'],
      tunnelInUse: false,
      endpoints,
      ways: { sources: [], publications: [] },
      tunnels,
    });
  await host.kernel.host.filters.inet.write(table);
  return new Map(
    endpoints.map((endpoint) => [
      endpoint.addresses[0] ?? '',
      contain(
        endpoint,
        `ip addr add ${endpoint.addresses[0]}/32 dev eth0
         ip route add 169.254.1.1 dev eth0
         ip route add default via 169.254.1.1`,
      ),
    ]),
  );
}

function space(spacesByAddress: ReadonlyMap<string, Space>, address: string): Space {
  const found = spacesByAddress.get(address);
  if (found === undefined) throw new Error(`there is no container ${address}`);
  return found;
}

function bridged(): Space {
  const container = addBridged(host);
  spaces.push(container);
  return container;
}

describe('a routed container', () => {
  test('is heard from its own address only', async () => {
    const all = await routed(new Map([[blue, ['10.77.0.2', '10.77.0.3']]]));
    const [one, other] = [space(all, '10.77.0.2'), space(all, '10.77.0.3')];
    await vi.waitUntil(() => one.pings('10.77.0.3'), waiting);
    // Reverse-path filtering is as loose as the host's setting for all links, if that is looser.
    host.run('sysctl -qw net.ipv4.conf.all.rp_filter=2');
    one.run('ip addr add 10.77.0.9/32 dev eth0; ip addr add 10.9.0.77/32 dev eth0');
    for (const address of ['10.77.0.9', '10.9.0.77']) {
      const send = () => one.run(`ping -q -c 2 -i 0.2 -W 1 -I ${address} 10.77.0.3 || true`);
      expect(echoes(other, send)).toBe(0);
    }
    expect(one.pings('10.77.0.3')).toBe(true);
  });

  test('is heard from its own MAC only', async () => {
    const all = await routed(new Map([[blue, ['10.77.0.2', '10.77.0.3']]]));
    const [one, other] = [space(all, '10.77.0.2'), space(all, '10.77.0.3')];
    await vi.waitUntil(() => one.pings('10.77.0.3'), waiting);
    one.run('ip link set eth0 address 02:66:66:66:66:66');
    const send = () => one.run('ping -q -c 2 -i 0.2 -W 1 10.77.0.3 || true');
    expect(echoes(other, send)).toBe(0);
    one.run(`ip link set eth0 address ${macOf('10.77.0.2')}`);
    await vi.waitUntil(() => one.pings('10.77.0.3'), waiting);
  });

  test('is not heard before it is admitted, nor after it is gone', async () => {
    const all = await routed(new Map([[blue, ['10.77.0.2', '10.77.0.3']]]));
    const one = space(all, '10.77.0.2');
    const filter = host.kernel.host.filters.inet;
    await vi.waitUntil(() => one.pings('10.77.0.3'), waiting);
    await filter.delete(sendersOf(endpointAt('10.77.0.2')));
    expect(one.pings('10.77.0.3')).toBe(false);
    await filter.put(sendersOf(endpointAt('10.77.0.2')));
    expect(one.pings('10.77.0.3')).toBe(true);
  });

  test('does not reach the host’s loopback through its link', async () => {
    const all = await routed(new Map([[blue, ['10.77.0.2']]]));
    const one = space(all, '10.77.0.2');
    await vi.waitUntil(() => one.pings('10.9.0.1'), waiting);
    host.run('sysctl -qw net.ipv4.conf.all.route_localnet=1');
    one.run(
      'sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 169.254.1.1 src 10.77.0.2',
    );
    expect(one.pings('127.0.0.1')).toBe(false);
  });
});

test('a thousand containers need no more rules than ten', async () => {
  const all = await routed(new Map([[blue, ['10.77.0.2', '10.77.0.3']]]));
  const own = ['10.77.0.2', '10.77.0.3'].map((address) => endpointAt(address));
  const ways = { sources: [], publications: [] };
  const rules = async (count: number) => {
    const others = Array.from({ length: count }, (_, n) => endpointAt(`10.77.${1 + (n >> 8)}.${n & 255}`));
    await host.kernel.host.filters.inet.write(() =>
      hostTable({
        underlay,
        networks: [blue],
        segments: [],
        uplinks: ['eth0'],
        tunnelInUse: false,
        endpoints: [...own, ...others],
        ways,
        tunnels,
      }),
    );
    const listing = host.run('nft -a list table inet weft');
    expect(listing.match(/ 10\.77\.[1-9]\d*\.\d+/g)).toHaveLength(count);
    return listing.match(/# handle/g)?.length;
  };
  const few = await rules(10);
  expect(await rules(1000)).toBe(few);
  await vi.waitUntil(() => space(all, '10.77.0.2').pings('10.77.0.3'), waiting);
});

describe('a routed network', () => {
  test('is reached by its own containers and the host, and by no other network of the host', async () => {
    const all = await routed(
      new Map([
        [blue, ['10.77.0.2', '10.77.0.3']],
        [red, ['10.79.0.2']],
      ]),
    );
    const stranger = bridged();
    await vi.waitUntil(() => space(all, '10.77.0.2').pings('10.77.0.3'), waiting);
    expect(host.pings('10.77.0.2')).toBe(true);
    expect(space(all, '10.79.0.2').pings('10.77.0.2')).toBe(false);
    expect(space(all, '10.77.0.2').pings('10.79.0.2')).toBe(false);
    expect(stranger.pings('172.18.0.1')).toBe(true);
    expect(stranger.pings('10.77.0.2')).toBe(false);
    // With the address of a container of another host, which may be heard from the uplink.
    stranger.run('ip addr add 10.77.0.66/32 dev eth1');
    const send = () => stranger.run('ping -q -c 2 -i 0.2 -W 1 -I 10.77.0.66 10.77.0.2 || true');
    expect(echoes(space(all, '10.77.0.2'), send)).toBe(0);
  });

  test('gets replies from where its containers ask, whatever it is', async () => {
    const all = await routed(new Map([[blue, ['10.77.0.2']]]));
    bridged();
    await vi.waitUntil(() => space(all, '10.77.0.2').pings('172.18.0.2'), waiting);
  });

  test('that is open is reached by others that are', async () => {
    const open = { isolate: false };
    const green = network('green', '10.80.0.0/24', open);
    const members = new Map([
      [{ ...blue, ...open }, ['10.77.0.2']],
      [green, ['10.80.0.2']],
      [red, ['10.79.0.2']],
    ]);
    const all = await routed(members);
    await vi.waitUntil(() => space(all, '10.77.0.2').pings('10.80.0.2'), waiting);
    expect(space(all, '10.80.0.2').pings('10.77.0.2')).toBe(true);
    expect(space(all, '10.77.0.2').pings('10.79.0.2')).toBe(false);
  });

  test('that is internal has no way out, and none in', async () => {
    const inner = network('inner', '10.81.0.0/24', { internal: true, isolate: false });
    const open = network('open', '10.82.0.0/24', { isolate: false });
    const all = await routed(
      new Map([
        [inner, ['10.81.0.2', '10.81.0.3']],
        [open, ['10.82.0.2']],
      ]),
    );
    const stranger = bridged();
    await vi.waitUntil(() => space(all, '10.81.0.2').pings('10.81.0.3'), waiting);
    expect(space(all, '10.82.0.2').pings('172.18.0.2')).toBe(true);
    expect(space(all, '10.81.0.2').pings('172.18.0.2')).toBe(false);
    expect(space(all, '10.81.0.2').pings('10.82.0.2')).toBe(false);
    expect(stranger.pings('10.81.0.2')).toBe(false);
  });
});

describe('a container on a segment', () => {
  const segment = network('segment', '10.78.0.0/24', { fabric: 'vxlan', vni: 4097 });

  async function segmented(): Promise<[Space, Space]> {
    const endpoints = ['10.78.0.2', '10.78.0.3'].map((address) => endpointAt(address));
    const own = await host.kernel.namespace('weft-4097');
    await own.filters.bridge.write(() => segmentTable(endpoints));
    const state = fabrics.get('vxlan')?.desired(viewOf(segment, endpoints));
    await own.apply(diff(emptyState, state ?? emptyState));
    const [one, other] = endpoints.map((endpoint) =>
      contain(endpoint, `ip addr add ${endpoint.addresses[0]}/24 dev eth0`),
    );
    if (one === undefined || other === undefined) throw new Error('there are two');
    await vi.waitUntil(() => one.pings('10.78.0.3'), waiting);
    return [one, other];
  }

  test('is heard from its own address only', async () => {
    const [one, other] = await segmented();
    one.run('ip addr add 10.78.0.9/24 dev eth0');
    const send = () => one.run('ping -q -c 2 -i 0.2 -W 1 -I 10.78.0.9 10.78.0.3 || true');
    expect(echoes(other, send)).toBe(0);
    expect(one.pings('10.78.0.3')).toBe(true);
  });

  test('is heard from its own MAC only', async () => {
    const [one, other] = await segmented();
    one.run(
      'ip link set eth0 address 02:66:66:66:66:66; ip neigh add 10.78.0.3 dev eth0 lladdr 02:57:0a:4e:00:03',
    );
    const send = () => one.run('ping -q -c 2 -i 0.2 -W 1 10.78.0.3 || true');
    expect(echoes(other, send)).toBe(0);
  });

  test('does not tell others to send it what is someone else’s', async () => {
    const [one, other] = await segmented();
    other.run('sysctl -qw net.ipv4.conf.eth0.arp_accept=1');
    const announce = (address: string) =>
      one.run(`ip addr flush dev eth0; ip addr add ${address}/24 dev eth0
        sysctl -qw net.ipv4.conf.eth0.arp_notify=1; ip link set eth0 down; ip link set eth0 up`);
    other.run('ip neigh flush dev eth0');
    announce('10.78.0.9');
    announce('10.78.0.2');
    await vi.waitUntil(() => other.run('ip neigh show dev eth0').includes('10.78.0.2 '), waiting);
    expect(other.run('ip neigh show dev eth0')).not.toContain('10.78.0.9 ');
  });
});
