/** What the fabrics want, done by the kernels of two hosts, with packets of both families over either underlay. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fabric, LocalEndpoint, NetworkView } from '../../src/fabric/fabric.ts';
import { fabrics } from '../../src/fabric/registry.ts';
import { diff } from '../../src/kernel/diff.ts';
import type { Namespace } from '../../src/kernel/kernel.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { type Family, familyOf, parsePrefix } from '../../src/model/address.ts';
import { containerEnd, macOf } from '../../src/model/names.ts';
import type { Block } from '../../src/model/records.ts';
import { addContainer, type Host, openHost, type Space } from './host.ts';

const waiting = { timeout: 20_000, interval: 50 };

const pools = ['10.77.0.0/16', 'fd77::/64'] as const;
const vni = 4097;

/** By host: its blocks, and its container's addresses. */
const plan = [
  { id: 'h1', blocks: ['10.77.0.0/26', 'fd77::/122'], addresses: ['10.77.0.2', 'fd77::2'] },
  { id: 'h2', blocks: ['10.77.0.64/26', 'fd77::40/122'], addresses: ['10.77.0.66', 'fd77::42'] },
] as const;
type Plan = (typeof plan)[number];

/** Which addresses the hosts have on the wire; those of the other family are taken away. */
const underlays = {
  IPv4: { addresses: ['10.9.0.1', '10.9.0.2'], without: 'ip -6 addr flush dev eth0 scope global' },
  IPv6: { addresses: ['fd09::1', 'fd09::2'], without: 'ip -4 addr flush dev eth0' },
} as const;
type Underlay = (typeof underlays)[keyof typeof underlays];

let a: Host;
let b: Host;
let containers: Space[];
beforeEach(async () => {
  a = await openHost(1);
  b = await openHost(2, a);
  containers = [];
});
afterEach(async () => {
  await a.close();
  await b.close();
  for (const container of containers) container.remove();
});

function endpointOf({ id, addresses }: Plan): LocalEndpoint {
  const mac = macOf(addresses[0]);
  return { v: 1, id: id.padEnd(64, '0'), network: 'blue', host: id, mac, addresses: [...addresses], slot: 1 };
}

function blocksOf({ id, blocks }: Plan): Block[] {
  const rest = { v: 1, owner: id, sequence: 1, freed: [], assigned: {} } as const;
  return blocks.map((cidr, index) => ({ ...rest, cidr, pool: pools[index] ?? '', freed: [] }));
}

/** The network as one of the two sees it, the other being its neighbour. */
async function viewOf(fabric: Fabric, { addresses }: Underlay, number: 0 | 1): Promise<NetworkView> {
  const [own, other] = number === 0 ? plan : [plan[1], plan[0]];
  const far = number === 0 ? b : a;
  const linkLocal = await far.kernel.linkLocal('eth0');
  const address = addresses[1 - number] ?? '';
  return {
    network: {
      ...{ v: 1, key: 'blue', fabric: fabric.name, internal: false, pools: [...pools] },
      ...(fabric.isolated && { vni }),
    },
    underlay: { hostId: own.id, address: addresses[number], link: 'eth0', mtu: 1500, vxlanPort: 4789 },
    peers: new Map([
      [
        other.id,
        {
          ...{ id: other.id, address, mtu: 1500, direct: { passes: true }, path: { link: 'eth0' } },
          ...(linkLocal && { linkLocal }),
        },
      ],
    ]),
    blocks: plan.flatMap(blocksOf),
    beyond: [],
    remote: [endpointOf(other)],
    local: [endpointOf(own)],
  };
}

function namespaceOf(host: Host, fabric: Fabric): Promise<Namespace> {
  return fabric.isolated ? host.kernel.namespace(`weft-${vni}`) : Promise.resolve(host.kernel.host);
}

/** As Docker sets up a sandbox: the addresses, then the routes in their order. */
function contain(host: Host, fabric: Fabric, view: NetworkView): Space {
  const [endpoint] = view.local;
  if (endpoint === undefined) throw new Error('the view has an endpoint');
  const poolLength = (family: Family) =>
    parsePrefix(pools.find((cidr) => familyOf(cidr) === family) ?? '').length;
  const container = addContainer(
    host,
    containerEnd(endpoint.id),
    [
      ...endpoint.addresses.map((address) => {
        const family = familyOf(address);
        const length = fabric.addressLength(family, poolLength(family));
        return `ip addr add ${address}/${length} dev eth0 ${family === 6 ? 'nodad' : ''}`;
      }),
      ...fabric
        .sandbox(view, endpoint)
        .routes.map(
          ({ destination, via }) => `ip route add ${destination} ${via ? `via ${via}` : ''} dev eth0`,
        ),
    ].join('\n'),
  );
  containers.push(container);
  return container;
}

async function wire(fabric: Fabric, underlay: Underlay): Promise<[Space, Space]> {
  for (const host of [a, b]) await vi.waitUntil(() => host.kernel.linkLocal('eth0'), waiting);
  for (const host of [a, b]) host.run(underlay.without);
  await vi.waitUntil(() => a.pings(underlay.addresses[1]), waiting);
  const made: Space[] = [];
  for (const [number, host] of [a, b].entries()) {
    const view = await viewOf(fabric, underlay, number === 0 ? 0 : 1);
    const namespace = await namespaceOf(host, fabric);
    await namespace.apply(diff(await namespace.read(), fabric.desired(view)));
    host.kernel.enableForwarding([4, 6]);
    made.push(contain(host, fabric, view));
  }
  const [one, two] = made;
  if (one === undefined || two === undefined) throw new Error('there are two containers');
  return [one, two];
}

const cases = [...fabrics.values()].flatMap((fabric) =>
  Object.entries(underlays).map(([family, underlay]) => ({ fabric, name: fabric.name, family, underlay })),
);

describe.each(cases)('$name over an $family underlay', ({ fabric, underlay }) => {
  test('carries packets of both families, up to the MTU', async () => {
    const [one, two] = await wire(fabric, underlay);
    for (const address of plan[1].addresses) await vi.waitUntil(() => one.pings(address), waiting);
    for (const address of plan[0].addresses) await vi.waitUntil(() => two.pings(address), waiting);
    const mtu = 1500 - fabric.overhead(familyOf(underlay.addresses[0]), undefined);
    for (const [index, headers] of [28, 48].entries()) {
      const ping = `ping -q -c 1 -W 2 -M do -s ${mtu - headers} ${plan[1].addresses[index]}`;
      expect(one.run(ping)).toContain(' 1 received');
    }
  });

  test('is read back as it was asked for, and leaves nothing when it is undone', async () => {
    await wire(fabric, underlay);
    const view = await viewOf(fabric, underlay, 0);
    const namespace = await namespaceOf(a, fabric);
    expect(diff(await namespace.read(), fabric.desired(view))).toEqual([]);
    await namespace.apply(diff(fabric.desired(view), emptyState));
    expect(await namespace.read()).toEqual(emptyState);
  });
});

describe('vxlan', () => {
  const vxlan = fabrics.get('vxlan');
  if (vxlan === undefined) throw new Error('there is a fabric vxlan');

  const encapsulated = (host: Host) =>
    Number(/packets (\d+)/.exec(host.run('nft list chain inet count in'))?.[1] ?? Number.NaN);

  test('finds IPv6 neighbours at home, and floods none of their multicast', async () => {
    const [one, two] = await wire(vxlan, underlays.IPv4);
    await vi.waitUntil(() => one.pings('fd77::42') && two.pings('fd77::2'), waiting);
    b.run(`nft -f - <<'.'
      table inet count { chain in { type filter hook input priority 0; udp dport 4789 counter; }; }
.`);
    one.run('ip -6 neigh flush all; ping -q -c 1 -W 1 ff02::1%eth0 || true');
    expect(encapsulated(b)).toBe(0);
    one.run('ip -6 neigh flush all');
    expect(one.pings('fd77::42')).toBe(true);
    // The echo request, and nothing about who has the address.
    expect(encapsulated(b)).toBe(1);
  });

  test('lets a container find that its addresses are its own', async () => {
    const [one] = await wire(vxlan, underlays.IPv4);
    one.run('ip addr add fd77::99/64 dev eth0');
    await vi.waitUntil(() => !one.run('ip -6 addr show dev eth0').includes('tentative'), waiting);
    expect(one.run('ip -6 addr show dev eth0')).not.toContain('dadfailed');
  });
});
