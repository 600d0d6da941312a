/** The steps from what is to what should be; pure. */
import { WeftError } from '../errors.ts';
import { describe, keyOf, linksNeeded } from './change.ts';
import type { Change, Link, NamespaceState } from './state.ts';

/**
 * Nothing where nothing differs. Ordered so that traffic flows on: what stands in the way goes first; then
 * comes what is missing, what a route leads to before the route; then, in reverse, goes what should not be.
 * @throws WeftError `internal` when two desired objects have one key
 */
export function diff(actual: NamespaceState, desired: NamespaceState): Change[] {
  const wanted = new Map<string, Change>();
  for (const change of changesTo('put', desired)) {
    if (wanted.has(keyOf(change))) {
      throw new WeftError('internal', `${describe(change)} is wanted twice: two owners of one kernel object`);
    }
    wanted.set(keyOf(change), change);
  }

  const obstacles = new Set(actual.links.filter((link) => standsInTheWay(link, desired.links)));
  const removals = changesTo('delete', actual);
  const leaving = new Set(
    removals.filter(
      (change) => isLink(change) && (obstacles.has(change.object) || !wanted.has(keyOf(change))),
    ),
  );
  const leavingNames = new Set([...leaving].map((change) => (isLink(change) ? change.object.name : '')));
  // The kernel takes what is on a link away with it.
  const staying = removals.filter(
    (change) => !leaving.has(change) && !linksNeeded(change).some((name) => leavingNames.has(name)),
  );
  const present = new Map(staying.map((change) => [keyOf(change), change]));

  return [
    ...removals.filter((change) => isLink(change) && obstacles.has(change.object)),
    ...[...wanted.values()].flatMap((change) => stepsTo(change, present.get(keyOf(change)))),
    ...staying.filter((change) => !wanted.has(keyOf(change))).reverse(),
    ...[...leaving].filter((change) => isLink(change) && !obstacles.has(change.object)),
  ];
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
      const { type, via, link } = desired.object;
      if (actual.kind !== 'route' || actual.object.type !== type || actual.object.via !== via) return false;
      return link === undefined || actual.object.link === link;
    }
    case 'neighbour':
      return actual.kind === 'neighbour' && actual.object.mac === desired.object.mac;
    case 'fdb':
      return actual.kind === 'fdb' && vtepOf(actual) === vtepOf(desired);
    case 'rule':
      return true;
  }
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
      return actual.kind === 'veth' && actual.strictSource === desired.strictSource;
    case 'vxlan':
      return actual.kind === 'vxlan' && actual.suppressNeighbours === desired.suppressNeighbours;
    case 'bridge':
      return true;
  }
}

/** A link that must be made anew, or a vxlan whose VNI another is to have: the kernel allows one a port. */
function standsInTheWay(actual: Link, desired: readonly Link[]): boolean {
  return desired.some((link) => {
    if (link.name === actual.name) return !sameIdentity(actual, link);
    if (link.kind !== 'vxlan' || actual.kind !== 'vxlan') return false;
    const takesOver = link.vni === actual.vni && link.port === actual.port;
    return takesOver && !desired.some(({ name }) => name === actual.name);
  });
}

function sameIdentity(a: Link, b: Link): boolean {
  if (a.kind !== 'vxlan' || b.kind !== 'vxlan') return a.kind === b.kind;
  return a.vni === b.vni && a.local === b.local && a.port === b.port;
}

function isLink(change: Change): change is Change & { readonly kind: 'link' } {
  return change.kind === 'link';
}
