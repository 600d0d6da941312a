/**
 * `routed`: layer 3, without encapsulation wherever packets pass without. A container is alone on its link: a
 * single address behind a link-local next hop
 * that its host answers for. A host routes its own containers one by one, and every other host's by block.
 *
 *   container 10.77.0.5/32 -- veth -- host A == underlay == host B -- veth -- 10.77.0.70/32
 *                  via 169.254.1.1    10.77.0.64/26 via B
 *
 * Packets cross the underlay with the containers' own addresses, at its full MTU; to hosts behind a router, or
 * where the network between drops such packets, through the tunnel (`tunnel.ts`). IPv6 is the same, with fe80::1
 * for the container's next hop; and neither family needs the hosts to have addresses of it.
 */
import type { NamespaceState, Route, ShortcutEntry } from '../kernel/state.ts';
import { emptyState } from '../kernel/state.ts';
import {
  contains,
  type Family,
  familiesOf,
  familyOf,
  type Prefix,
  parsePrefix,
  prefixSize,
  printAddress,
  printPrefix,
  singleLength,
  singlePrefix,
} from '../model/address.ts';
import { containerEnd, hostEnd, nextHopMac, shortcutNetwork, tunnelName } from '../model/names.ts';
import type { Network } from '../model/records.ts';
import {
  containerMtu,
  type Fabric,
  hostsAt,
  type LocalEndpoint,
  merge,
  type NetworkView,
  type Peer,
  type Underlay,
} from './fabric.ts';
import { isTunnelInUse, probeSource, reachOf } from './reach.ts';
import { isEthernet, shortcutPort } from './shortcut.ts';
import { answersByTunnel, tunnelRoute, tunnelState, vxlanOverhead } from './tunnel.ts';

/** The same on every host, never routed; the last part is the endpoint's slot. */
const nextHopPrefix = { 4: '169.254.1.', 6: 'fe80::' } as const satisfies Record<Family, string>;

export const routed: Fabric = {
  name: 'routed',
  isolated: false,
  filter: 'inet',
  overhead: (underlay, encap) => (encap === 'always' ? vxlanOverhead(underlay) : 0),
  addressLength: (family) => singleLength(family),
  desired: (view) =>
    merge([otherHosts(view), ...view.local.map((endpoint) => endpointState(view, endpoint))]),
  shared: (views) =>
    merge([tunnel(views.filter(({ network }) => network.encap !== 'never')), shortcutFromOthers(views)]),
  endpoint: endpointState,
  sandbox: (view, endpoint) => ({
    gateways: view.network.gateway
      ? familiesOf(endpoint.addresses).map((family) => nextHop(family, endpoint.slot))
      : [],
    routes: endpoint.addresses.flatMap((address) => {
      const family = familyOf(address);
      const via = nextHop(family, endpoint.slot);
      const destinations = [...ownDestinations(view.network), ...view.beyond];
      const ofFamily = destinations.filter((cidr) => familyOf(cidr) === family);
      return [{ destination: singlePrefix(via) }, ...ofFamily.map((destination) => ({ destination, via }))];
    }),
  }),
};

function endpointState(view: NetworkView, endpoint: LocalEndpoint): NamespaceState {
  const link = hostEnd(endpoint.id);
  const mtu = endpoint.mtu ?? containerMtu(routed, view.network, view.underlay);
  return {
    ...emptyState,
    links: [
      {
        kind: 'veth',
        name: link,
        mtu,
        mac: nextHopMac,
        up: true,
        strictSource: true,
        ...(view.network.gateway ? { routesLoopback: true } : {}),
        peer: { name: containerEnd(endpoint.id), mac: endpoint.mac, mtu },
      },
    ],
    addresses: familiesOf(endpoint.addresses).map((family) => ({
      link,
      address: singlePrefix(nextHop(family, endpoint.slot)),
      scope: 'link',
    })),
    routes: endpoint.addresses.map((address) => ({
      destination: singlePrefix(address),
      type: 'unicast',
      link,
    })),
    ...shortcutPort(view, endpoint, mtu),
  };
}

function otherHosts(view: NetworkView): NamespaceState {
  const routes = routesToOthers(view);
  const prefixes = shortcutPrefixes(view, routes);
  return { ...emptyState, routes: [...routes, ...probeRoutes(view)], prefixes };
}

/** But no block of which another host has an address that is reached otherwise: that would take the way of the block. */
function shortcutPrefixes(view: NetworkView, routes: readonly Route[]): ShortcutEntry[] {
  const links = shortcutLinks(view);
  const others = borrowedRoutes(view).filter(({ link = '' }) => !links.includes(link));
  const number = shortcutNetwork(view.network.key);
  return routes.flatMap(({ destination, link = '', mtu = view.underlay.mtu }) => {
    if (!links.includes(link)) return [];
    const prefix = parsePrefix(destination);
    const isMixed = others.some((other) => contains(prefix, parsePrefix(other.destination)));
    return isMixed ? [] : [{ destination, link, network: number, mtu }];
  });
}

/** Those by which the containers of other hosts are reached, and come. */
function shortcutLinks({ shortcut, underlay, network: { encap } }: NetworkView): string[] {
  if (!shortcut) return [];
  const uplink = isEthernet(underlay) && encap !== 'always' ? [underlay.link] : [];
  return encap === 'never' ? uplink : [...uplink, tunnelName];
}

function shortcutFromOthers(views: readonly NetworkView[]): NamespaceState {
  const links = new Set(views.flatMap(shortcutLinks));
  return { ...emptyState, shortcuts: Array.from(links, (link) => ({ link, side: 'in' })) };
}

/**
 * A container may be on a network, and have come to it before by way of another: the way of its own must be the
 * better one, and no two of its links may have the same route, so it is in halves.
 */
function ownDestinations({ pools, isolate }: Network): string[] {
  return isolate === false ? pools.flatMap(halvesOf) : [...pools];
}

function halvesOf(cidr: string): string[] {
  const { family, first, length } = parsePrefix(cidr);
  if (length === singleLength(family)) return [cidr];
  const lower: Prefix = { family, first, length: length + 1 };
  return [lower, { ...lower, first: first + prefixSize(lower) }].map(printPrefix);
}

/** A small subnet is one block, and the smallest block one address: of one destination, who has less of it has it. */
function routesToOthers(view: NetworkView): Route[] {
  const all = [...poolRoutes(view), ...blockRoutes(view), ...borrowedRoutes(view)];
  const routes = new Map(all.map((route) => [route.destination, route]));
  for (const address of view.local.flatMap(({ addresses }) => addresses))
    routes.delete(singlePrefix(address));
  return [...routes.values()];
}

/** What no host holds is answered at once, instead of leaving by the default route. */
function poolRoutes(view: NetworkView): Route[] {
  return view.network.pools.map((destination) => ({ destination, type: 'unreachable' }));
}

/**
 * Where probes of other hosts come from, for the reverse-path filter of the uplink, which would drop them
 * otherwise: as long as they are not known to pass, the way back to what is theirs is the tunnel.
 */
function probeRoutes({ network, underlay }: NetworkView): Route[] {
  if (network.encap !== undefined && network.encap !== 'auto') return [];
  // It is tried with the family of the underlay only.
  const probed = network.pools.filter((pool) => familyOf(pool) === familyOf(underlay.address));
  return probed.flatMap((pool) => {
    const source = probeSource(pool);
    return source === undefined
      ? []
      : [{ destination: singlePrefix(source), type: 'unicast', link: underlay.link }];
  });
}

function blockRoutes(view: NetworkView): Route[] {
  return view.claims
    .filter(({ owner }) => owner !== view.underlay.hostId)
    .map(({ owner, cidr }) => towards(view, owner, cidr));
}

/** Single addresses held by a host that does not own their block. */
function borrowedRoutes(view: NetworkView): Route[] {
  return view.claims.flatMap(({ cidr, lentTo = {} }) => {
    const { family, first } = parsePrefix(cidr);
    return Object.entries(lentTo)
      .filter(([, host]) => host !== view.underlay.hostId)
      .map(([offset, host]) => {
        const address = printAddress({ family, value: first + BigInt(offset) });
        return towards(view, host, singlePrefix(address));
      });
  });
}

function towards(view: NetworkView, host: string, destination: string): Route {
  const { peers, network, underlay } = view;
  const peer = peers.get(host);
  const reach = peer && reachOf(peer, network.encap);
  if (peer === undefined || reach === undefined) return { destination, type: 'unreachable' };
  switch (reach.by) {
    case 'nothing':
      return { destination, type: 'unreachable' };
    case 'encapsulation':
      return throughTunnel(view, peer, destination);
    case 'direct': {
      // On one link nobody else could say that the other's is the narrower one.
      const narrower = peer.mtu < underlay.mtu ? { mtu: peer.mtu } : {};
      const via = hopOf(peer, familyOf(destination));
      if (via === undefined) return throughTunnel(view, peer, destination);
      return { destination, type: 'unicast', link: reach.link, via, ...narrower };
    }
  }
}

function throughTunnel({ network, underlay }: NetworkView, peer: Peer, destination: string): Route {
  const leads = network.encap !== 'never' && isOfFamily(underlay)(peer);
  return leads ? tunnelRoute(destination, peer, underlay) : { destination, type: 'unreachable' };
}

/** Whether a vxlan device of this host can send to the other: its socket has one family. */
function isOfFamily({ address }: Underlay): (peer: Peer) => boolean {
  return (peer) => familyOf(peer.address) === familyOf(address);
}

/**
 * To every other host, whichever way packets go to it now: then a change is one route, and one that has no
 * addresses of these networks yet is answered as well.
 */
function tunnel(views: readonly NetworkView[]): NamespaceState {
  const [first] = views;
  if (first === undefined) return emptyState;
  const { underlay, peers } = first;
  const families = new Set(views.flatMap(({ network }) => network.pools.map(familyOf)));
  const behind = hostsAt(peers).filter(isOfFamily(underlay));
  const networks = views.map(({ network }) => network);
  return merge([
    tunnelState(underlay, behind, families),
    isTunnelInUse(networks, behind) ? answersByTunnel(underlay, behind) : emptyState,
  ]);
}

/** An IPv6 next hop takes packets of both families, an IPv4 one only its own. */
function hopOf({ address, linkLocal }: Peer, family: Family): string | undefined {
  return family === 6 && familyOf(address) === 4 ? linkLocal : address;
}

function nextHop(family: Family, slot: number): string {
  return `${nextHopPrefix[family]}${slot}`;
}
