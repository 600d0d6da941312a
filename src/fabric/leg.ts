/**
 * The leg of a segment: what joins a network that has a namespace of its own to its host, where weft is the way out.
 *
 *   container -- br0 (the gateway's address) -- weft-out == weft-g1 -- host -- anywhere
 *                               169.254.2.1 ^             ^ 169.254.2.0
 *
 * Addresses are translated on the way, to one that is the leg's alone: two networks may have the same subnet.
 */

import type { NftTable } from '../kernel/nft.ts';
import { emptyState, type LinkAddress, type NamespaceState } from '../kernel/state.ts';
import {
  type Family,
  familiesOf,
  linkLocalOf,
  parseAddress,
  printAddress,
  singlePrefix,
} from '../model/address.ts';
import { bridgeMac, legEnd, nextHopMac, portMacOf } from '../model/names.ts';
import { type Publication, redirection } from './publication.ts';

export interface Leg {
  /** Unique on the host, from 1. */
  readonly number: number;
  /** Of the network, with prefix length. */
  readonly gateways: readonly string[];
}

/** The end in the segment. Never a port of the bridge. */
const inner = 'weft-out';

/** The same on every leg; a leg's own addresses follow it. */
const hostAddresses = { 4: '169.254.2.0', 6: 'fd57:6566:7400::' } as const satisfies Record<Family, string>;
const anywhere = { 4: '0.0.0.0/0', 6: '::/0' } as const satisfies Record<Family, string>;

/** By which the host knows the segment. */
export function legAddress({ number }: Leg, family: Family): string {
  const { value } = parseAddress(hostAddresses[family]);
  return printAddress({ family, value: value + BigInt(number) });
}

export function legAddresses(leg: Leg): string[] {
  return familiesOf(leg.gateways).map((family) => singlePrefix(legAddress(leg, family)));
}

export function legInSegment(leg: Leg, bridge: string, mtu: number): NamespaceState {
  const families = familiesOf(leg.gateways);
  const name = legEnd(leg.number);
  return {
    ...emptyState,
    links: [
      {
        kind: 'veth',
        name: inner,
        mtu,
        mac: portMacOf(name),
        up: true,
        strictSource: false,
        peer: { name, mac: nextHopMac, mtu, staysWithHost: true },
      },
    ],
    addresses: [
      ...leg.gateways.map((address) => ({ link: bridge, address, scope: 'global' as const })),
      ...families.map((family) => ({
        link: inner,
        address: singlePrefix(legAddress(leg, family)),
        scope: 'global' as const,
      })),
      ...asking(families, bridge, bridgeMac),
      ...asking(families, inner, portMacOf(name)),
    ],
    routes: families.map((family) => ({
      destination: anywhere[family],
      type: 'unicast' as const,
      link: inner,
      via: hostAddresses[family],
    })),
  };
}

/** Its link is there once the segment is. */
export function legOnHost(leg: Leg, mtu: number): NamespaceState {
  const link = legEnd(leg.number);
  const families = familiesOf(leg.gateways);
  return {
    ...emptyState,
    links: [
      { kind: 'veth', name: link, mtu, mac: nextHopMac, up: true, strictSource: true, routesLoopback: true },
    ],
    addresses: [
      ...families.map((family) => ({
        link,
        address: singlePrefix(hostAddresses[family]),
        scope: 'link' as const,
      })),
      ...asking(families, link, nextHopMac),
    ],
    routes: families.map((family) => ({
      destination: singlePrefix(legAddress(leg, family)),
      type: 'unicast' as const,
      link,
    })),
  };
}

/** In the segment's namespace: ports of the leg lead to containers, and what goes out bears the leg's address. */
export function legTable(publications: readonly Publication[]): NftTable {
  const { sets, chains } = redirection(publications);
  return {
    family: 'inet',
    name: 'weft',
    sets,
    chains: [
      {
        name: 'forward',
        base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' },
        // What belongs to no connection is not translated either.
        rules: ['ct state invalid drop'],
      },
      ...chains,
      {
        name: 'wayOut',
        base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
        rules: [`oifname "${inner}" masquerade`],
      },
    ],
  };
}

/** As the host publishes it: at the same port of the leg. */
export function onLeg(leg: Leg, publication: Publication): Publication {
  const { family } = parseAddress(publication.address);
  return { ...publication, address: legAddress(leg, family), port: publication.hostPort };
}

/** As the segment publishes it: whatever address of the host it came to. */
export function inSegment({ hostAddress: _, ...publication }: Publication): Publication {
  return publication;
}

/**
 * What a link needs besides to ask for IPv6 neighbours: on behalf of packets that it passes on, the kernel asks only
 * from a link-local address (net/ipv6/ndisc.c, ndisc_send_ns).
 */
function asking(families: readonly Family[], link: string, mac: string): LinkAddress[] {
  return families.includes(6) ? [{ link, address: singlePrefix(linkLocalOf(mac)), scope: 'link' }] : [];
}
