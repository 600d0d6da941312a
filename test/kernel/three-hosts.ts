/** Three hosts on one switch, with a container of one network on each: where tests of fabrics begin. */
import { expect, vi } from 'vitest';
import {
  type Fabric,
  type LocalEndpoint,
  merge,
  type NetworkView,
  type Peer,
} from '../../src/fabric/fabric.ts';
import { hostTable } from '../../src/fabric/host-table.ts';
import { segmentTable } from '../../src/fabric/senders.ts';
import { diff } from '../../src/kernel/diff.ts';
import type { Namespace } from '../../src/kernel/kernel.ts';
import type { NamespaceState } from '../../src/kernel/state.ts';
import { familyOf, parsePrefix } from '../../src/model/address.ts';
import type { Claim } from '../../src/model/block-record.ts';
import { containerEnd, namespaceName, tunnelVni } from '../../src/model/names.ts';
import type { Network } from '../../src/model/records.ts';
import { claim, endpoint } from '../unit/fabric/views.ts';
import { addContainer, addSpace, type Host, openHost, type Space } from './host.ts';

export const waiting = { timeout: 20_000, interval: 50 };
export const vni = 0x57_00_00;
const pools = ['10.77.0.0/16', 'fd77::/64'] as const;

/** By what the hosts know each other; they have no address of the other family. */
export const underlays = {
  IPv4: { prefix: '10.9.0.', without: 'ip -6 addr flush dev eth0 scope global' },
  IPv6: { prefix: 'fd09::', without: 'ip -4 addr flush dev eth0' },
} as const;

export interface Member {
  readonly id: string;
  readonly address: string;
  readonly linkLocal: string;
  readonly host: Host;
  /** Its container's. */
  readonly endpoint: LocalEndpoint;
  readonly claims: readonly Claim[];
}

export interface ThreeHosts {
  readonly members: readonly [Member, Member, Member];
  /** A machine on the same switch that is none of them, known by none of their addresses. */
  stranger(): Space;
  close(): Promise<void>;
}

export async function threeHosts(underlay: keyof typeof underlays): Promise<ThreeHosts> {
  const between = addSpace();
  between.run('ip link add br0 type bridge; ip link set br0 up');
  const { prefix, without } = underlays[underlay];

  async function member(number: number): Promise<Member> {
    const host = await openHost(number);
    host.run(`ip link set wire netns ${between.name} name host${number}`);
    between.run(`ip link set host${number} master br0 up`);
    const linkLocal = await vi.waitUntil(() => host.kernel.linkLocal('eth0'), waiting);
    host.run(without);
    host.kernel.enableForwarding([4, 6]);
    const id = `h${number}`;
    const first = 64 * (number - 1);
    const addresses = [`10.77.0.${first + 5}`, `fd77::${(first + 5).toString(16)}`];
    return {
      ...{ id, address: `${prefix}${number}`, linkLocal, host },
      endpoint: { ...endpoint(id, ...addresses), slot: 1 },
      claims: [
        claim(id, `10.77.0.${first}/26`),
        claim(id, `fd77::${number === 1 ? '' : first.toString(16)}/122`),
      ],
    };
  }

  const members = [await member(1), await member(2), await member(3)] as const;
  const strangers: Space[] = [];
  return {
    members,
    stranger() {
      const space = addSpace();
      strangers.push(space);
      space.run(`ip link add eth0 type veth peer name stranger netns ${between.name}
        ip addr add ${prefix}6/${prefix.includes(':') ? 64 : 24} dev eth0
        ip link set eth0 up`);
      between.run('ip link set stranger master br0 up');
      return space;
    },
    async close() {
      for (const { host } of members) await host.close();
      for (const space of strangers) space.remove();
      between.remove();
    },
  };
}

/** The network of the three. */
export class Wiring {
  readonly fabric: Fabric;
  readonly network: Network;
  readonly #members: readonly Member[];
  readonly #containers: Space[] = [];

  constructor(fabric: Fabric, members: readonly Member[], options: Partial<Network> = {}) {
    this.fabric = fabric;
    this.#members = members;
    this.network = {
      ...{ v: 1, key: 'blue', fabric: fabric.name, internal: false, pools: [...pools] },
      ...(fabric.isolated ? { vni } : {}),
      ...options,
    };
  }

  remove(): void {
    for (const container of this.#containers) container.remove();
  }

  async namespaceOf({ host }: Member): Promise<Namespace> {
    return this.fabric.isolated ? host.kernel.namespace(namespaceName(vni)) : host.kernel.host;
  }

  /** @param present hosts that the cluster knows and has containers of */
  async viewOf(member: Member, present = this.#members): Promise<NetworkView> {
    const others = present.filter(({ id }) => id !== member.id);
    const paths = await member.host.kernel.route(others.map(({ address }) => address));
    const peers = others.map(({ id, address, linkLocal }, index): Peer => {
      const path = paths[index];
      const known = { id, address, linkLocal, mtu: 1500, direct: { passes: true, assumed: false } };
      return path === undefined ? known : { ...known, path };
    });
    return {
      network: this.network,
      underlay: {
        ...{ hostId: member.id, address: member.address, link: 'eth0', mtu: 1500, vxlanPort: 4789 },
        mac: '02:00:00:00:00:01',
      },
      peers: new Map(peers.map((peer) => [peer.id, peer])),
      claims: this.#members.flatMap(({ claims }) => claims),
      beyond: [],
      shortcut: true,
      remote: others.map((each) => each.endpoint),
      local: [member.endpoint],
    };
  }

  /** In the namespace of the network, with what its networks share there. */
  desired(view: NetworkView): NamespaceState {
    const own = this.fabric.desired(view);
    return this.fabric.isolated ? own : merge([own, this.fabric.shared([view])]);
  }

  /** Answers how many changes it took. */
  async bringInLine(member: Member, view: NetworkView): Promise<number> {
    const namespace = await this.namespaceOf(member);
    const changes = diff(await namespace.read(), this.desired(view));
    await namespace.apply(changes);
    return changes.length + (this.fabric.isolated ? await this.#bringHostInLine(member, view) : 0);
  }

  async #bringHostInLine({ host }: Member, view: NetworkView): Promise<number> {
    const changes = diff(await host.kernel.host.read(), this.fabric.shared([view]));
    await host.kernel.host.apply(changes);
    return changes.length;
  }

  /** Every host in line, with its container in place; the containers, in the order of the hosts. */
  async wireAll(): Promise<readonly Space[]> {
    for (const member of this.#members) await this.bringInLine(member, await this.viewOf(member));
    for (const member of this.#members) this.contain(member, await this.viewOf(member));
    return this.#containers;
  }

  /** Every container is heard as itself only, and every host by the others only. */
  async guard(): Promise<void> {
    for (const member of this.#members) {
      const { host, endpoint } = member;
      const { isolated } = this.fabric;
      if (isolated) {
        const { filters } = await this.namespaceOf(member);
        await filters.bridge.write(() => segmentTable([endpoint]));
      }
      const others = this.#members.filter((other) => other !== member);
      const table = {
        ...{ networks: isolated ? [] : [this.network], endpoints: isolated ? [] : [endpoint] },
        ...{ segments: [], uplinks: ['eth0'], tunnelInUse: false, ways: { sources: [], publications: [] } },
        underlay: { address: member.address, vxlanPort: 4789 },
        tunnels: { hosts: others.map(({ address }) => address), vnis: [vni, tunnelVni] },
      };
      await host.kernel.host.filters.inet.write(() => hostTable(table));
    }
  }

  /** Does what Docker does with an endpoint: its link, addresses and routes into the container. */
  contain({ host, endpoint }: Member, view: NetworkView): Space {
    const addresses = endpoint.addresses.map((address) => {
      const family = familyOf(address);
      const { length } = parsePrefix(pools.find((pool) => familyOf(pool) === family) ?? '');
      const held = `${address}/${this.fabric.addressLength(family, length)}`;
      return `ip addr add ${held} dev eth0 ${family === 6 ? 'nodad' : ''}`;
    });
    const routes = this.fabric
      .sandbox(view, endpoint)
      .routes.map(
        ({ destination, via }) => `ip route add ${destination} ${via ? `via ${via}` : ''} dev eth0`,
      );
    const container = addContainer(host, containerEnd(endpoint.id), [...addresses, ...routes].join('\n'));
    this.#containers.push(container);
    return container;
  }
}

/** In both families. */
export async function allReachAll(from: readonly Space[], to: readonly Member[]): Promise<void> {
  for (const container of from) {
    for (const address of to.flatMap(({ endpoint }) => endpoint.addresses)) {
      await vi.waitUntil(() => container.pings(address), waiting);
    }
  }
}

export function noneReaches(from: readonly (Space | undefined)[], { endpoint }: Member): void {
  for (const container of from) {
    for (const address of endpoint.addresses) expect(container?.pings(address)).toBe(false);
  }
}
