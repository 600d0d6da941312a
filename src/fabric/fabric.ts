/**
 * The contract of a fabric: a pure function from what the cluster holds to what this host's kernel should
 * hold. It reads nothing, remembers nothing and decides nothing about when; the reconciler does the rest.
 */
import type { NftTable } from '../kernel/nft.ts';
import type { NamespaceState } from '../kernel/state.ts';
import { type Family, familyOf } from '../model/address.ts';
import type { Claim } from '../model/block-record.ts';
import type { Encap, Endpoint, Network } from '../model/records.ts';
import type { Leg } from './leg.ts';

/** This host's place on the network that joins the hosts. */
export interface Underlay {
  readonly hostId: string;
  readonly address: string;
  /** IPv6 address by which its neighbours on the underlay reach it. */
  readonly linkLocal?: string;
  /** The link that has this address: the uplink. */
  readonly link: string;
  /** Six bytes where it is an Ethernet; absent or shorter: it is none. */
  readonly mac?: string;
  /** Bytes that fit through the uplink. */
  readonly mtu: number;
  /** UDP port of VXLAN, the same on all hosts. */
  readonly vxlanPort: number;
}

/** Another host, and how the kernel would send to it now. */
export interface Peer {
  readonly id: string;
  readonly address: string;
  /** IPv6 address by which its neighbours on the underlay reach it. */
  readonly linkLocal?: string;
  /** Absent: no route to it. `via` present: it is behind a router. */
  readonly path?: { readonly link: string; readonly via?: string };
  /** Bytes that fit through its uplink. */
  readonly mtu: number;
  /**
   * Whether packets with the addresses of containers pass between it and this host as they are; `assumed`: that is
   * only what is safe, for as long as nothing has been found out.
   */
  readonly direct: { readonly passes: boolean; readonly assumed: boolean };
}

/** One for each address: a host that was made anew has the address of one that is gone, and another id. */
export function hostsAt(peers: ReadonlyMap<string, Peer>): Peer[] {
  const byAddress = Array.from(peers.values(), (peer) => [peer.address, peer] as const);
  return [...new Map(byAddress).values()];
}

export interface LocalEndpoint extends Endpoint {
  /**
   * Which network of its container this is, from 1. Every network of a container needs a next hop of its
   * own: two equal on-link routes in one sandbox would collide.
   */
  readonly slot: number;
  /**
   * With which its link was made; absent: as now. The container's end cannot be changed from here, and what
   * is larger than the MTU of the end it comes out of is dropped in silence (net/core/dev.c,
   * is_skb_forwardable): so this end keeps its own, whatever becomes of the uplink.
   */
  readonly mtu?: number;
}

/** All that bears on one network, as this host sees it. */
export interface NetworkView {
  readonly network: Network;
  readonly underlay: Underlay;
  readonly peers: ReadonlyMap<string, Peer>;
  /** To the blocks of the network's pools, of all hosts. */
  readonly claims: readonly Claim[];
  /**
   * Endpoints on other hosts, those announced last at the end. None where this host has no endpoint itself, and of a
   * network that is routed by block: to read all of a large cluster takes longer than everything else.
   */
  readonly remote: readonly Endpoint[];
  /** Subnets of other networks that its containers may reach, and have no way to yet. */
  readonly beyond: readonly string[];
  /** What joins its namespace to the host; only where it is its own, and weft the way out. */
  readonly leg?: Leg;
  /** Whether packets may take a shortcut through this host. */
  readonly shortcut: boolean;
  /** Endpoints on this host whose link exists, or is about to. */
  readonly local: readonly LocalEndpoint[];
}

/** What Docker shall set up inside the sandbox, beside the addresses. */
export interface SandboxRoutes {
  /** At most one of each family; none: the way out is another network's, or Docker's own. */
  readonly gateways: readonly string[];
  /** In the order in which they must be added; `via` absent: on-link. */
  readonly routes: readonly { readonly destination: string; readonly via?: string }[];
}

export interface Fabric {
  readonly name: string;
  /** Bytes that a packet to another host always grows by, on an underlay of this family. */
  overhead(underlay: Family, encap: Encap | undefined): number;
  /** Each network has a VNI and a namespace of its own. */
  readonly isolated: boolean;
  /** The nftables table, in its namespace, that first sees what a container sends. */
  readonly filter: NftTable['family'];
  /** Prefix length with which a container holds an address of a pool. */
  addressLength(family: Family, poolLength: number): number;
  /** Everything of this network in its namespace, the endpoints' part included. */
  desired(view: NetworkView): NamespaceState;
  /** What its networks on this host need in the host's namespace, once, however many they are. */
  shared(views: readonly NetworkView[]): NamespaceState;
  /** The part of `desired` that belongs to one endpoint. */
  endpoint(view: NetworkView, endpoint: LocalEndpoint): NamespaceState;
  sandbox(view: NetworkView, endpoint: LocalEndpoint): SandboxRoutes;
}

/** MTU of the containers: what the user asked for, else what fits. */
export function containerMtu(fabric: Fabric, network: Network, underlay: Underlay): number {
  return network.mtu ?? underlay.mtu - fabric.overhead(familyOf(underlay.address), network.encap);
}

/** Puts states together; no two parts may hold the same key (`diff` refuses that), but for the one shortcut at the uplink. */
export function merge(states: readonly NamespaceState[]): NamespaceState {
  return {
    links: states.flatMap((state) => state.links),
    addresses: states.flatMap((state) => state.addresses),
    routes: states.flatMap((state) => state.routes),
    rules: states.flatMap((state) => state.rules),
    neighbours: states.flatMap((state) => state.neighbours),
    fdb: states.flatMap((state) => state.fdb),
    shortcuts: [
      ...new Map(
        states.flatMap(({ shortcuts }) => shortcuts.map((one) => [one.link, one] as const)),
      ).values(),
    ],
    ports: states.flatMap((state) => state.ports),
    prefixes: states.flatMap((state) => state.prefixes),
  };
}
