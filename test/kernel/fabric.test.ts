/** What every fabric owes, with real kernels and packets: three hosts on one switch, a container on each. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  containerMtu,
  type Fabric,
  type LocalEndpoint,
  type NetworkView,
  type Peer,
} from '../../src/fabric/fabric.ts';
import { fabrics } from '../../src/fabric/registry.ts';
import { diff } from '../../src/kernel/diff.ts';
import type { Namespace } from '../../src/kernel/kernel.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { parseAddress, parsePrefix } from '../../src/model/address.ts';
import { containerEnd, namespaceName } from '../../src/model/names.ts';
import type { Network } from '../../src/model/records.ts';
import { block, endpoint } from '../unit/fabric/views.ts';
import { addContainer, addSpace, type Host, openHost, type Space } from './host.ts';

const waiting = { timeout: 20_000, interval: 50 };
const pool = '10.77.0.0/16';
const vni = 0x57_00_00;

interface Member {
  readonly id: string;
  readonly address: string;
  readonly host: Host;
  readonly endpoint: LocalEndpoint;
  readonly block: ReturnType<typeof block>;
}

let underlay: Space;
let members: readonly Member[];
let containers: Space[];

beforeEach(async () => {
  underlay = addSpace();
  underlay.run('ip link add br0 type bridge; ip link set br0 up');
  members = [await addMember(1), await addMember(2), await addMember(3)];
  containers = [];
});
afterEach(async () => {
  for (const container of containers) container.remove();
  for (const { host } of members) await host.close();
  underlay.remove();
});

async function addMember(number: number): Promise<Member> {
  const host = await openHost(number);
  host.run(`ip link set wire netns ${underlay.name} name host${number}`);
  underlay.run(`ip link set host${number} master br0 up`);
  host.kernel.enableForwarding([4]);
  const id = `h${number}`;
  const first = 64 * (number - 1);
  return {
    ...{ id, address: `10.9.0.${number}`, host },
    endpoint: { ...endpoint(id, `10.77.0.${first + 5}`), slot: 1 },
    block: block(id, `10.77.0.${first}/26`),
  };
}

describe.each([...fabrics.values()])('fabric $name', (fabric) => {
  const network: Network = {
    ...{ v: 1, key: 'blue', fabric: fabric.name, internal: false, pools: [pool] },
    ...(fabric.isolated ? { vni } : {}),
  };

  const namespaceOf = async ({ host }: Member): Promise<Namespace> =>
    fabric.isolated ? host.kernel.namespace(namespaceName(vni)) : host.kernel.host;

  /** @param present hosts that the cluster knows and has containers of */
  async function viewOf(member: Member, present = members): Promise<NetworkView> {
    const others = present.filter(({ id }) => id !== member.id);
    const paths = await member.host.kernel.route(others.map(({ address }) => address));
    const peers = others.map(({ id, address }, index): Peer => {
      const path = paths[index];
      return { id, address, mtu: 1500, direct: { passes: true }, ...(path === undefined ? {} : { path }) };
    });
    return {
      network,
      underlay: { hostId: member.id, address: member.address, link: 'eth0', mtu: 1500, vxlanPort: 4789 },
      peers: new Map(peers.map((peer) => [peer.id, peer])),
      blocks: members.map((each) => each.block),
      beyond: [],
      remote: others.map((each) => each.endpoint),
      local: [member.endpoint],
    };
  }

  /** Answers how many changes it took. */
  async function bringInLine(member: Member, view: NetworkView): Promise<number> {
    const namespace = await namespaceOf(member);
    const changes = diff(await namespace.read(), fabric.desired(view));
    await namespace.apply(changes);
    return changes.length;
  }

  /** Every host in line, with its container in place; the containers, in the order of the hosts. */
  async function wireAll(): Promise<Space[]> {
    for (const member of members) await bringInLine(member, await viewOf(member));
    containers = await Promise.all(
      members.map(async (member) => contain(fabric, member, await viewOf(member))),
    );
    return containers;
  }

  async function allReachAll(from: readonly Space[], to: readonly Member[]): Promise<void> {
    for (const container of from) {
      for (const { endpoint } of to) {
        const [address = ''] = endpoint.addresses;
        await vi.waitUntil(() => container.pings(address), waiting);
      }
    }
  }

  test('connects the containers of all hosts, and has nothing to do then', async () => {
    await allReachAll(await wireAll(), members);
    for (const member of members) expect(await bringInLine(member, await viewOf(member))).toBe(0);
  });

  test('carries packets as large as the containers’ MTU', async () => {
    const [one] = await wireAll();
    const [, two] = members;
    if (one === undefined || two === undefined) throw new Error('there are three hosts');
    const view = await viewOf(two);
    const [address = ''] = two.endpoint.addresses;
    const payload = containerMtu(fabric, network, view.underlay) - 28;
    await vi.waitUntil(() => one.pings(address), waiting);
    expect(one.run(`ping -c 1 -W 5 -M do -s ${payload} ${address}`)).toContain(' 1 received');
    expect(one.run(`ping -c 1 -W 1 -M do -s ${payload + 1} ${address} 2>&1 || true`)).toContain('too long');
  });

  test('wires one endpoint alone as it would with all the rest', async () => {
    for (const member of members) {
      const view = await viewOf(member);
      await bringInLine(member, { ...view, local: [] });
      const namespace = await namespaceOf(member);
      await namespace.apply(diff(emptyState, fabric.endpoint(view, member.endpoint)));
      expect(diff(await namespace.read(), fabric.desired(view))).toEqual([]);
      containers.push(contain(fabric, member, view));
    }
    await allReachAll(containers, members);
  });

  test('goes on without a host that has vanished, and with it when it is back', async () => {
    await wireAll();
    const [one, two, three] = members;
    if (one === undefined || two === undefined || three === undefined)
      throw new Error('there are three hosts');
    const present = [one, two];
    await allReachAll(containers, members);
    for (const member of present) {
      expect(await bringInLine(member, await viewOf(member, present))).toBeGreaterThan(0);
      expect(await bringInLine(member, await viewOf(member, present))).toBe(0);
    }
    await allReachAll(containers.slice(0, 2), present);
    const [lost = ''] = three.endpoint.addresses;
    expect(containers[0]?.pings(lost)).toBe(false);
    for (const member of present) await bringInLine(member, await viewOf(member));
    await allReachAll(containers, members);
  });

  test('lets go of a container, and leaves the others their traffic', async () => {
    const [first] = await wireAll();
    const [one, two, three] = members;
    if (first === undefined || one === undefined || two === undefined || three === undefined) {
      throw new Error('there are three hosts');
    }
    const [gone = ''] = three.endpoint.addresses;
    await allReachAll([first], members);
    await bringInLine(three, { ...(await viewOf(three)), local: [] });
    for (const member of [one, two]) {
      const view = await viewOf(member);
      await bringInLine(member, { ...view, remote: view.remote.filter(({ host }) => host !== three.id) });
    }
    expect(containers[2]?.run('ip -o link')).not.toContain('eth0');
    expect(first.pings(gone)).toBe(false);
    await allReachAll([first], [one, two]);
  });

  test('leaves nothing when nothing is wanted', async () => {
    await allReachAll(await wireAll(), members);
    for (const member of members) {
      const namespace = await namespaceOf(member);
      await namespace.apply(diff(await namespace.read(), emptyState));
      expect(await namespace.read()).toEqual(emptyState);
      if (fabric.isolated) await member.host.kernel.removeNamespace(namespaceName(vni));
      expect(member.host.run('ip -o link; ip route show table all; ss -Hlun')).not.toMatch(
        /: weft|dev weft|10\.77\.|proto 119|:4789/,
      );
    }
    for (const container of containers) expect(container.run('ip -o link')).not.toContain('eth0');
  });
});

/** Does what Docker does with an endpoint: its link, addresses and routes into the container. */
function contain(fabric: Fabric, { host, endpoint }: Member, view: NetworkView): Space {
  const { family, length } = parsePrefix(pool);
  const addresses = endpoint.addresses.map((address) => {
    expect(parseAddress(address).family).toBe(family);
    return `ip addr add ${address}/${fabric.addressLength(family, length)} dev eth0`;
  });
  const routes = fabric
    .sandbox(view, endpoint)
    .routes.map(({ destination, via }) => `ip route add ${destination}${via ? ` via ${via}` : ''} dev eth0`);
  return addContainer(host, containerEnd(endpoint.id), [...addresses, ...routes].join('\n'));
}
