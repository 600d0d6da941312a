/** The steps from what is to what should be; pure. */
import { isDeepStrictEqual } from 'node:util';
import { WeftError } from '../errors.ts';
import { describe, keyOf } from './change.ts';
import { type Change, emptyState, type Link, type NamespaceState } from './state.ts';

/**
 * Nothing where nothing differs. Ordered so that traffic flows on: what takes a shortcut that it should not is back on
 * the ordinary way first; then goes what stands in the way; then comes what is missing, what a route leads to before the
 * route, shortcuts last; then, in reverse, goes what should not be.
 * @throws WeftError `internal` when two desired objects have one key
 */
export function diff(actual: NamespaceState, desired: NamespaceState): Change[] {
  const wanted = new Map<string, Change>();
  for (const change of changesTo('put', desired)) {
    const key = keyOf(change);
    if (wanted.has(key)) {
      throw new WeftError('internal', `${describe(change)} is wanted twice: two owners of one kernel object`);
    }
    wanted.set(key, change);
  }

  const wantedLinks = new Map(desired.links.map((link) => [link.name, link]));
  const obstacles = actual.links.filter((link) => standsInTheWay(link, wantedLinks));
  const superfluous = actual.links.filter(({ name }) => !wantedLinks.has(name));
  const leaving = new Set([...obstacles, ...superfluous].map(({ name }) => name));
  const kept = changesTo('delete', survivors(actual, leaving, wantedLinks));
  const present = new Map(kept.map((change) => [keyOf(change), change]));
  const unwanted = [...present].flatMap(([key, change]) => (wanted.has(key) ? [] : [change]));

  const [closed, others] = [unwanted.filter(isEntry), unwanted.filter((change) => !isEntry(change))];

  return [
    ...closed,
    ...changesTo('delete', { ...emptyState, links: obstacles }),
    ...[...wanted].flatMap(([key, change]) => stepsTo(change, present.get(key))),
    ...others.reverse(),
    ...changesTo('delete', { ...emptyState, links: superfluous.filter((link) => !obstacles.includes(link)) }),
  ];
}

/**
 * What remains when links go or change: the kernel takes away what is on a link together with the link, its
 * neighbours (permanent ones too) when it gets another MAC, and a port's MACs when it gets another bridge.
 */
function survivors(
  actual: NamespaceState,
  leaving: ReadonlySet<string>,
  wantedLinks: ReadonlyMap<string, Link>,
): NamespaceState {
  const links = actual.links
    .filter(({ name }) => !leaving.has(name))
    .map((link) => (link.master !== undefined && leaving.has(link.master) ? withoutMaster(link) : link));
  const byName = new Map(links.map((link) => [link.name, link]));
  const stays = ({ link }: { readonly link?: string }) => link === undefined || !leaving.has(link);
  const keepsIts = (property: 'mac' | 'master', name: string) =>
    byName.get(name)?.[property] === wantedLinks.get(name)?.[property];
  return {
    links,
    addresses: actual.addresses.filter(stays),
    routes: actual.routes.filter(stays),
    rules: actual.rules,
    neighbours: actual.neighbours.filter((neighbour) => stays(neighbour) && keepsIts('mac', neighbour.link)),
    fdb: actual.fdb.filter(
      (entry) => stays(entry) && (entry.table === 'self' || keepsIts('master', entry.link)),
    ),
    shortcuts: actual.shortcuts.filter(stays),
    // They are no part of a link; one that is made anew is another link to them.
    ports: actual.ports.filter((entry) => stays(entry) || !wantedLinks.has(entry.link)),
    prefixes: actual.prefixes.filter((entry) => stays(entry) || !wantedLinks.has(entry.link)),
  };
}

function withoutMaster({ master: _, ...link }: Link): Link {
  return link;
}

/** In the order of their creation. */
function changesTo(verb: 'put' | 'delete', state: NamespaceState): Change[] {
  const bridgesFirst = state.links.toSorted(
    (a, b) => Number(b.kind === 'bridge') - Number(a.kind === 'bridge'),
  );
  return [
    ...bridgesFirst.map((object) => ({ do: verb, kind: 'link', object }) as const),
    ...state.addresses.map((object) => ({ do: verb, kind: 'address', object }) as const),
    ...state.fdb.map((object) => ({ do: verb, kind: 'fdb', object }) as const),
    ...state.neighbours.map((object) => ({ do: verb, kind: 'neighbour', object }) as const),
    ...state.routes.map((object) => ({ do: verb, kind: 'route', object }) as const),
    ...state.rules.map((object) => ({ do: verb, kind: 'rule', object }) as const),
    ...state.shortcuts.map((object) => ({ do: verb, kind: 'shortcut', object }) as const),
    ...state.ports.map((object) => ({ do: verb, kind: 'port', object }) as const),
    ...state.prefixes.map((object) => ({ do: verb, kind: 'prefix', object }) as const),
  ];
}

function stepsTo(wanted: Change, present: Change | undefined): Change[] {
  if (present === undefined) return [wanted];
  if (agree(present, wanted)) return [];
  // The kernel does not change the scope of an address.
  return wanted.kind === 'address' ? [present, wanted] : [wanted];
}

/** Whether the actual object, of the same key, is as the desired one says. */
function agree(actual: Change, desired: Change): boolean {
  switch (desired.kind) {
    case 'link':
      return actual.kind === 'link' && sameProperties(actual.object, desired.object);
    case 'address': {
      // The scope of an IPv6 address follows from the address.
      const isIpv6 = desired.object.address.includes(':');
      return actual.kind === 'address' && (isIpv6 || actual.object.scope === desired.object.scope);
    }
    case 'route': {
      // The kernel tells the link of every route; who leaves it to the kernel takes any.
      const { type, via, link, source, mtu } = desired.object;
      if (actual.kind !== 'route' || actual.object.type !== type || actual.object.via !== via) return false;
      if (actual.object.source !== source || actual.object.mtu !== mtu) return false;
      return link === undefined || actual.object.link === link;
    }
    case 'neighbour':
      return actual.kind === 'neighbour' && actual.object.mac === desired.object.mac;
    case 'fdb':
      return actual.kind === 'fdb' && vtepOf(actual) === vtepOf(desired);
    case 'rule':
      return true;
    case 'shortcut':
    case 'port':
    case 'prefix':
      return isDeepStrictEqual(actual.object, desired.object);
  }
}

function isEntry({ kind }: Change): boolean {
  return kind === 'port' || kind === 'prefix';
}

function vtepOf({ object }: Change & { readonly kind: 'fdb' }): string | undefined {
  return object.table === 'self' ? object.vtep : undefined;
}

/** What can be changed on a link that exists; a veth's peer is not seen. */
function sameProperties(actual: Link, desired: Link): boolean {
  const { mtu, mac, up, master } = desired;
  if (actual.mtu !== mtu || actual.mac !== mac || actual.up !== up || actual.master !== master) return false;
  switch (desired.kind) {
    case 'veth':
      if (actual.kind !== 'veth' || actual.strictSource !== desired.strictSource) return false;
      return (actual.routesLoopback ?? false) === (desired.routesLoopback ?? false);
    case 'vxlan':
      return (
        actual.kind === 'vxlan' &&
        actual.suppressNeighbours === desired.suppressNeighbours &&
        actual.looseSource === desired.looseSource
      );
    case 'bridge':
      return true;
  }
}

/** A link that must be made anew, or a vxlan whose VNI another is to have: the kernel allows one a port. */
function standsInTheWay(actual: Link, wantedLinks: ReadonlyMap<string, Link>): boolean {
  const successor = wantedLinks.get(actual.name);
  if (successor !== undefined) return !sameIdentity(actual, successor);
  if (actual.kind !== 'vxlan') return false;
  return [...wantedLinks.values()].some(
    (link) => link.kind === 'vxlan' && link.vni === actual.vni && link.port === actual.port,
  );
}

function sameIdentity(a: Link, b: Link): boolean {
  if (a.kind !== 'vxlan' || b.kind !== 'vxlan') return a.kind === b.kind;
  return a.vni === b.vni && a.local === b.local && a.port === b.port;
}
