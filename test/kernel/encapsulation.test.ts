/** What the routed fabric wants of two hosts, as their kernels do it: on one link, and with a router between. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { merge, type NetworkView } from '../../src/fabric/fabric.ts';
import { hostTable } from '../../src/fabric/host-table.ts';
import { routed } from '../../src/fabric/routed.ts';
import { diff } from '../../src/kernel/diff.ts';
import { containerEnd, tunnelVni } from '../../src/model/names.ts';
import { claim, endpoint, network, view } from '../unit/fabric/views.ts';
import { addContainer, addSpace, type Host, openHost, type Space } from './host.ts';

const waiting = { timeout: 20_000, interval: 50 };

interface Side {
  readonly host: Host;
  readonly name: 'h1' | 'h2';
  readonly address: string;
  readonly container: string;
}

let one: Side;
let two: Side;
/** What stands between them; a router, or nothing. */
let spaces: Space[];
beforeEach(() => {
  spaces = [];
});
afterEach(async () => {
  await one.host.close();
  await two.host.close();
  for (const space of spaces) space.remove();
});

async function onOneLink(): Promise<void> {
  const host = await openHost(1);
  one = { host, name: 'h1', address: '10.9.0.1', container: '10.77.0.2' };
  two = { host: await openHost(2, host), name: 'h2', address: '10.9.0.2', container: '10.77.0.66' };
  await vi.waitUntil(() => host.pings(two.address), waiting);
}

async function overRouter(): Promise<Space> {
  const router = addSpace();
  spaces.push(router);
  router.run('sysctl -qw net.ipv4.ip_forward=1');
  const behind = async (number: number) => {
    const host = await openHost(number);
    host.run(`ip link set wire netns ${router.name} name to-${number}
      ip address flush dev eth0
      ip address add 10.9.${number}.1/24 dev eth0
      ip route add default via 10.9.${number}.254`);
    router.run(`ip address add 10.9.${number}.254/24 dev to-${number}; ip link set to-${number} up`);
    return host;
  };
  one = { host: await behind(1), name: 'h1', address: '10.9.1.1', container: '10.77.0.2' };
  two = { host: await behind(2), name: 'h2', address: '10.9.2.1', container: '10.77.0.66' };
  await vi.waitUntil(() => one.host.pings(two.address), waiting);
  return router;
}

interface Circumstances {
  readonly passes: boolean;
  readonly mtu?: number;
  readonly peerMtu?: number;
}

/** What one side sees, the kernel's own way to the other included. */
async function seenBy(
  self: Side,
  other: Side,
  { passes, mtu = 1500, peerMtu = mtu }: Circumstances,
): Promise<NetworkView> {
  const [path] = await self.host.kernel.route([other.address]);
  const peer = { id: other.name, address: other.address, mtu: peerMtu, direct: { passes, assumed: false } };
  const { vni: _, ...shared } = network;
  return view({
    network: { ...shared, fabric: 'routed' },
    underlay: { hostId: self.name, address: self.address, link: 'eth0', mtu, vxlanPort: 4789 },
    peers: new Map([[other.name, path === undefined ? peer : { ...peer, path }]]),
    claims: [claim('h1', '10.77.0.0/26'), claim('h2', '10.77.0.64/26')],
    remote: [endpoint(other.name, other.container)],
    local: [{ ...endpoint(self.name, self.container), slot: 1, mtu: 1500 }],
  });
}

async function settle(self: Side, other: Side, circumstances: Circumstances): Promise<void> {
  const seen = await seenBy(self, other, circumstances);
  const { host } = self.host.kernel;
  const desired = merge([routed.desired(seen), routed.shared([seen])]);
  await host.apply(diff(await host.read(), desired));
  expect(diff(await host.read(), desired)).toEqual([]);
}

async function filter({ host, name, address, container }: Side): Promise<void> {
  const { vni: _, ...shared } = network;
  const table = {
    underlay: { address, vxlanPort: 4789 },
    networks: [{ ...shared, fabric: 'routed' }],
    segments: [],
    uplinks: ['eth0'],
    tunnelInUse: true,
    endpoints: [endpoint(name, container)],
    ways: { sources: [], publications: [] },
    tunnels: { hosts: [one.address, two.address], vnis: [tunnelVni] },
  };
  await host.kernel.host.filters.inet.write(() => hostTable(table));
}

/** A container on each side, once its host is settled. */
async function wire(circumstances: Circumstances): Promise<Space> {
  const containers: Space[] = [];
  for (const [self, other] of [
    [one, two],
    [two, one],
  ] as const) {
    await settle(self, other, circumstances);
    self.host.kernel.enableForwarding([4]);
    const end = containerEnd(endpoint(self.name, self.container).id);
    const inside = `ip address add ${self.container}/32 dev eth0
      ip route add 169.254.1.1 dev eth0
      ip route add 10.77.0.0/16 via 169.254.1.1`;
    containers.push(addContainer(self.host, end, inside));
  }
  spaces.push(...containers);
  const [first] = containers;
  if (first === undefined) throw new Error('there are two sides');
  return first;
}

/** Counts what arrives at a link, by how it is addressed. */
function capture(space: Space, link: string): () => { direct: number; encapsulated: number } {
  space.run(`nft -f - <<'END'
    table netdev capture {
      chain ingress {
        type filter hook ingress device "${link}" priority 0; policy accept;
        ip saddr 10.77.0.0/16 counter comment "direct"
        udp dport 4789 counter comment "encapsulated"
      }
    }
END`);
  return () => {
    const listing = space.run('nft list table netdev capture');
    const count = (what: string) =>
      Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${what}"`).exec(listing)?.[1]);
    return { direct: count('direct'), encapsulated: count('encapsulated') };
  };
}

/** What a container is told about a packet of that size that must not be cut up. */
function largePing(from: Space, to: string, bytes: number): string {
  from.run('ip route flush cache');
  return from.run(`ping -M do -c 1 -W 2 -s ${bytes - 28} ${to} || true`);
}

test('hosts on one link that lets them pass send packets as they are', async () => {
  await onOneLink();
  const container = await wire({ passes: true });
  const captured = capture(two.host, 'eth0');
  await vi.waitUntil(() => container.pings(two.container), waiting);
  expect(captured().direct).toBeGreaterThan(0);
  expect(captured().encapsulated).toBe(0);
  expect(largePing(container, two.container, 1500)).toContain('1 received');
});

test('hosts on one link that drops them send packets encapsulated', async () => {
  await onOneLink();
  const container = await wire({ passes: false });
  const captured = capture(two.host, 'eth0');
  await vi.waitUntil(() => container.pings(two.container), waiting);
  expect(captured().direct).toBe(0);
  expect(captured().encapsulated).toBeGreaterThan(0);
});

test('hosts with a router between send packets encapsulated, whatever a probe would say', async () => {
  const router = await overRouter();
  const container = await wire({ passes: true });
  const captured = capture(router, 'to-1');
  await vi.waitUntil(() => container.pings(two.container), waiting);
  expect(captured().direct).toBe(0);
  expect(captured().encapsulated).toBeGreaterThan(0);
});

test('a host takes in encapsulated packets while it sends its own as they are', async () => {
  await onOneLink();
  two.host.run('sysctl -qw net.ipv4.conf.all.rp_filter=1');
  const container = await wire({ passes: false });
  await vi.waitUntil(() => container.pings(two.container), waiting);
  await settle(two, one, { passes: true });
  expect(container.pings(two.container)).toBe(true);
});

test('hosts with a strict filter of sources need only go the same way, whichever that is', async () => {
  await onOneLink();
  for (const { host } of [one, two]) host.run('sysctl -qw net.ipv4.conf.all.rp_filter=1');
  const container = await wire({ passes: false });
  await vi.waitUntil(() => container.pings(two.container), waiting);
  for (const passes of [true, false]) {
    await settle(one, two, { passes });
    await settle(two, one, { passes });
    expect(container.pings(two.container)).toBe(true);
  }
});

test('a host reaches the containers of another through the tunnel, and is answered through it', async () => {
  const router = await overRouter();
  const container = await wire({ passes: false });
  await vi.waitUntil(() => container.pings(two.container), waiting);
  await filter(two);
  spaces.at(-1)?.run('ip route add default via 169.254.1.1');
  const captured = capture(router, 'to-2');
  await vi.waitUntil(() => one.host.pings(two.container), waiting);
  expect(captured()).toEqual({ direct: 0, encapsulated: 1 });
  // What the container begins itself, and what comes as it is, goes as ever.
  spaces.at(-1)?.run(`ping -q -c 1 -W 1 ${one.address} || true`);
  expect(captured()).toEqual({ direct: 1, encapsulated: 1 });
});

test('the kernel takes the packets around others for no connection', async () => {
  await onOneLink();
  const container = await wire({ passes: false });
  for (const side of [one, two]) {
    await filter(side);
    side.host.run(`nft -f - <<'END'
      table inet untracked {
        chain in {
          type filter hook input priority 0
          udp dport 4789 ct state != untracked drop
        }
        chain out {
          type filter hook output priority 0
          udp dport 4789 ct state != untracked drop
        }
      }
END`);
  }
  await vi.waitUntil(() => container.pings(two.container), waiting);
  for (const { host } of [one, two]) host.run('nft flush chain inet weft tunnels');
  expect(container.pings(two.container)).toBe(false);
});

test('a probe gets through a strict filter of sources before anything else does', async () => {
  await onOneLink();
  for (const { host } of [one, two]) host.run('sysctl -qw net.ipv4.conf.all.rp_filter=1');
  await wire({ passes: false });
  const heard: string[] = [];
  const at = { address: two.address, port: 9338 };
  const listener = two.host.kernel.openUdp(at, (_, { address }) => heard.push(address));
  const prober = one.host.kernel.openUdp({ address: '10.77.0.0', port: 9338 }, () => {});
  await vi.waitUntil(() => {
    prober.send(Buffer.from('probe'), at);
    return heard.includes('10.77.0.0');
  }, waiting);
  listener.close();
  prober.close();
});

describe('a packet that is too large', () => {
  test('for the tunnel is answered so', async () => {
    await overRouter();
    const container = await wire({ passes: false });
    await vi.waitUntil(() => container.pings(two.container), waiting);
    expect(largePing(container, two.container, 1450)).toContain('1 received');
    expect(largePing(container, two.container, 1451)).toMatch(/Frag needed .*mtu = 1450/);
    await settle(one, two, { passes: false, peerMtu: 1400 });
    expect(largePing(container, two.container, 1350)).toContain('1 received');
    expect(largePing(container, two.container, 1351)).toMatch(/Frag needed .*mtu = 1350/);
  });

  test('for the other host, or for an uplink that has become narrower, is answered so', async () => {
    await onOneLink();
    const container = await wire({ passes: true });
    await vi.waitUntil(() => container.pings(two.container), waiting);
    await settle(one, two, { passes: true, peerMtu: 1400 });
    expect(largePing(container, two.container, 1400)).toContain('1 received');
    expect(largePing(container, two.container, 1401)).toMatch(/Frag needed .*mtu = 1400/);
    for (const { host } of [one, two]) host.run('ip link set eth0 mtu 1300');
    await settle(one, two, { passes: true, mtu: 1300 });
    expect(largePing(container, two.container, 1300)).toContain('1 received');
    expect(largePing(container, two.container, 1301)).toMatch(/Frag needed .*mtu = 1300/);
  });
});

test('the tunnel lives beside the devices of Docker’s overlay and of flannel, on one port', async () => {
  await onOneLink();
  for (const { host, address } of [one, two]) {
    host.run(`ip link add docker type vxlan id 4097 dstport 4789 proxy l2miss l3miss
      ip link add flannel.1 type vxlan id 1 local ${address} dstport 4789 nolearning
      ip link set docker up; ip link set flannel.1 up`);
  }
  const container = await wire({ passes: false });
  await vi.waitUntil(() => container.pings(two.container), waiting);
});
