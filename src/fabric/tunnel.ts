/**
 * The tunnel of the routed networks of a host: one vxlan device, whatever the number of networks and hosts.
 * Behind it every other host is a neighbour at its own underlay address, with a MAC derived from that, so a
 * host costs two entries and a block one route.
 *
 *   10.77.0.64/26 via 10.9.1.2 on weft-l3 -- neighbour 10.9.1.2 at 02:5d:0a:09:01:02 -- VTEP 10.9.1.2
 *
 * What another host itself sends to a container has that host's address. The answers must come back as it was sent, for
 * they bear the container's address: connections that begin in the tunnel are marked, and a table that only their
 * answers are looked up in leads to the hosts through it.
 */
import type { NftChain } from '../kernel/nft.ts';
import { emptyState, type NamespaceState, ownTable, type Route } from '../kernel/state.ts';
import { type Family, parseAddress, parsePrefix, printAddress, singlePrefix } from '../model/address.ts';
import { tunnelMacOf, tunnelName, tunnelVni } from '../model/names.ts';
import type { Peer, Underlay } from './fabric.ts';

/** Bytes that VXLAN adds: outer IP header, UDP 8, VXLAN 8, inner Ethernet 14. */
export function vxlanOverhead(underlay: Family): number {
  return (underlay === 4 ? 20 : 40) + 30;
}

/**
 * Of a link without an address, a loose filter drops what comes another way than it would go, as a strict one
 * does (net/ipv4/fib_frontend.c, __fib_validate_source). Any will do; nothing is sent from it.
 */
const anyAddress = '169.254.1.0/32';

/**
 * There also while no route leads into it: the others decide by themselves, and what they send must arrive.
 * @param peers the hosts behind it
 * @param families of what is routed by it
 */
export function tunnelState(
  underlay: Underlay,
  peers: readonly Peer[],
  families: ReadonlySet<Family>,
): NamespaceState {
  const link = tunnelName;
  return {
    ...emptyState,
    links: [
      {
        kind: 'vxlan',
        name: link,
        mtu: tunnelMtu(underlay, underlay.mtu),
        mac: tunnelMacOf(underlay.address),
        up: true,
        vni: tunnelVni,
        local: underlay.address,
        port: underlay.vxlanPort,
        suppressNeighbours: false,
        looseSource: true,
      },
    ],
    addresses: [{ link, address: anyAddress, scope: 'link' }],
    fdb: peers.map(({ address }) => ({ link, table: 'self', mac: tunnelMacOf(address), vtep: address })),
    neighbours: peers.flatMap(({ address: host }) => {
      const hops = new Set(Array.from(families, (family) => hop(host, family)));
      return Array.from(hops, (address) => ({ link, address, mac: tunnelMacOf(host) }));
    }),
  };
}

/** Bits of the marks of connections and packets; the other bits are left to others. */
const answerMark = 0x57_00_00;

/**
 * Where some host needs it only: the first rule of a namespace has the kernel look up every packet's route the long way,
 * for as long as the namespace lives (net/ipv4/fib_rules.c: fib4_rule_configure, fib_unmerge). Measured: a fifth of
 * the packets per second.
 */
export function answersByTunnel(underlay: Underlay, peers: readonly Peer[]): NamespaceState {
  const { family } = parseAddress(underlay.address);
  return {
    ...emptyState,
    routes: peers.map((peer) => {
      const destination = singlePrefix(peer.address);
      return { ...tunnelRoute(destination, peer, underlay), table: ownTable };
    }),
    rules: [{ family, priority: ownTable, table: ownTable, mark: answerMark }],
  };
}

export const tunnelAnswers: readonly NftChain[] = [
  {
    name: 'answers',
    base: { type: 'filter', hook: 'prerouting', priority: -150, policy: 'accept' },
    rules: [
      `iifname "${tunnelName}" ct state new ct mark set ct mark or ${answerMark}`,
      // By whatever link: the container's default route may be Docker's own.
      `ct direction reply ct mark and ${answerMark} == ${answerMark} meta mark set meta mark or ${answerMark}`,
    ],
  },
  {
    name: 'answersInTunnel',
    base: { type: 'filter', hook: 'postrouting', priority: -150, policy: 'accept' },
    // The packet around it has the same mark, and would be led into the tunnel too (drivers/net/vxlan).
    rules: [`oifname "${tunnelName}" meta mark set meta mark and ${0xffff_ffff - answerMark}`],
  },
];

export function tunnelRoute(destination: string, peer: Peer, underlay: Underlay): Route {
  return {
    destination,
    type: 'unicast',
    link: tunnelName,
    via: hop(peer.address, parsePrefix(destination).family),
    mtu: tunnelMtu(underlay, Math.min(underlay.mtu, peer.mtu)),
  };
}

function tunnelMtu({ address }: Underlay, outer: number): number {
  return outer - vxlanOverhead(parseAddress(address).family);
}

/**
 * An IPv4 next hop is the host itself. An IPv6 one serves both families, but the kernel refuses one that it would
 * look for on another link (net/ipv6/route.c, ip6_route_check_nh_onlink): hence an address of this link only.
 */
function hop(underlayAddress: string, family: Family): string {
  const { family: has } = parseAddress(underlayAddress);
  if (family === 4 && has === 4) return underlayAddress;
  const own = BigInt(`0x${tunnelMacOf(underlayAddress).replaceAll(':', '')}`);
  return printAddress({ family: 6, value: linkLocal + own });
}

const { value: linkLocal } = parseAddress('fe80::');
