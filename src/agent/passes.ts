/** What a pass of the reconciler does, scope by scope. */

import { containerMtu, merge, type NetworkView, type Peer } from '../fabric/fabric.ts';
import { inSegment, legOnHost, legTable } from '../fabric/leg.ts';
import { fabrics } from '../fabric/registry.ts';
import { segmentTable } from '../fabric/senders.ts';
import { diff } from '../kernel/diff.ts';
import type { Kernel, Namespace } from '../kernel/kernel.ts';
import type { NftTable } from '../kernel/nft.ts';
import type { Change, NamespaceState } from '../kernel/state.ts';
import { type Family, familiesOf } from '../model/address.ts';
import { hostEnd } from '../model/names.ts';
import type { Network } from '../model/records.ts';
import { differencesOf, inWords } from './differences.ts';
import { hostFilterOf } from './host-filter.ts';
import type { Ledger, LedgerEndpoint } from './ledger.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';
import type { Views } from './views.ts';

export interface Passes {
  pass(scope: Scope): Promise<number>;
  scopes(): Promise<readonly Scope[]>;
  /** What passes over all scopes would put right, in words; writes nothing. */
  differences(): Promise<string[]>;
  /** Endpoints of containers whose link was not there at the last pass: being joined, or lost by Docker. */
  unlinked(): LedgerEndpoint[];
  /** Whether the last pass over the segment saw a container of this host on it, and led it to all others. */
  leadsToOthers(scope: Scope): boolean;
  /** Strikes it off the ledger, unless it has its link by now. */
  forgetUnlinked(endpoint: LedgerEndpoint): Promise<void>;
}

export function passesOver(
  kernel: Kernel,
  ledger: Ledger,
  views: Views,
  neighbourhood: Pick<Neighbourhood, 'peers' | 'look'>,
  /** Whether the store is known to lack what other hosts have. */
  keepsAll: () => boolean,
): Passes {
  const unlinked = new Map<Scope, readonly LedgerEndpoint[]>();
  const leading = new Set<Scope>();
  const filter = hostFilterOf(kernel, views, neighbourhood, keepsAll);

  /**
   * An endpoint whose link is gone cannot be put right from here: the other end is in the container.
   * @param links that are there
   */
  function desiredIn(
    scope: Scope,
    links: ReadonlySet<string>,
    peers: ReadonlyMap<string, Peer>,
  ): NamespaceState {
    const viewOf = (network: Network): NetworkView =>
      views.network(network, peers, ({ id }) => links.has(hostEnd(id)));
    const isHere = (network: Network) => scopeOf(network) === scope;
    const seen = views.networks().filter((network) => scope === 'host' || isHere(network));
    const parts = Array.from(fabrics.values()).flatMap((fabric) => {
      const ofFabric = seen.filter((network) => network.fabric === fabric.name).map(viewOf);
      const own = ofFabric.filter(({ network }) => isHere(network)).map((view) => fabric.desired(view));
      return scope === 'host' ? [...own, fabric.shared(ofFabric)] : own;
    });
    return scope === 'host' ? withoutUnborn(merge([...parts, legsOnHost()]), links) : merge(parts);
  }

  function legsOnHost(): NamespaceState {
    return merge(
      views.legs().flatMap(({ network, leg }) => {
        const fabric = fabrics.get(network.fabric);
        return fabric === undefined ? [] : [legOnHost(leg, containerMtu(fabric, network, views.underlay()))];
      }),
    );
  }

  function scopeOfEndpoint({ network: id }: LedgerEndpoint): Scope | undefined {
    const network = ledger.networks.get(id);
    return network && scopeOf(network);
  }

  async function open(scope: Scope): Promise<Namespace> {
    return scope === 'host' ? kernel.host : await kernel.namespace(scope);
  }

  async function compare(scope: Scope): Promise<Comparison> {
    const namespace = await open(scope);
    const actual = await namespace.read();
    const endpoints = ledger.endpoints.all().filter((endpoint) => scopeOfEndpoint(endpoint) === scope);
    const links = linkNames(actual);
    const unlinked = endpoints.filter(({ id, sandbox }) => sandbox !== undefined && !links.has(hostEnd(id)));
    const peers = await neighbourhood.peers();
    // No container comes or goes between these three: the ledger does not change while nothing is awaited.
    const desired = desiredIn(scope, links, peers);
    const isInhabited = views.networks().some((one) => scopeOf(one) === scope && views.isInhabited(one.key));
    const changes = diff(actual, desired).filter((change) => !keepsAll() || !cutsOff(change));
    return { namespace, unlinked, isInhabited, changes };
  }

  async function bringInLine(scope: Scope): Promise<readonly Change[]> {
    const comparison = await compare(scope);
    const { namespace, isInhabited, changes } = comparison;
    unlinked.set(scope, comparison.unlinked);
    if (!isInhabited) leading.delete(scope);
    if (changes.length > 0) await namespace.apply(changes);
    if (isInhabited) leading.add(scope);
    return changes;
  }

  /** By the routes that it makes, other hosts can be probed: those to new ones go by the tunnel until then. */
  async function bringHostInLine(): Promise<number> {
    const { length: changes } = await bringInLine('host');
    if (changes > 0) neighbourhood.look();
    return changes;
  }

  function sendersTable(members: readonly Network[]): NftTable {
    return segmentTable(members.flatMap(({ key }) => views.attached(key)));
  }

  function wayOutTable(members: readonly Network[]): NftTable {
    const endpoints = members.flatMap(({ key }) => views.attached(key));
    return legTable(endpoints.flatMap(({ published = [] }) => published.map(inSegment)));
  }

  function hasLeg(members: readonly Network[]): boolean {
    return views.legs().some(({ network }) => members.some(({ key }) => key === network.key));
  }

  async function bringSegmentInLine(scope: Scope, members: readonly Network[]): Promise<number> {
    const { filters } = await kernel.namespace(scope);
    // First, so that no link is ever there without it.
    const changed = await filters.bridge.write(() => sendersTable(members));
    const changes = await bringInLine(scope);
    const onHost = changes.some(bearsHostEnd) ? await bringHostInLine() : 0;
    return Number(changed) + changes.length + onHost + (await bringWayOutInLine(scope, members));
  }

  async function bringWayOutInLine(scope: Scope, members: readonly Network[]): Promise<number> {
    if (!hasLeg(members)) return 0;
    const { filters } = await kernel.namespace(scope);
    const forwarding = kernel.enableForwarding(familiesIn(members), scope).changed;
    const table = await filters.inet.write(() => wayOutTable(members));
    // The host's end of the leg has only now come to be.
    const changes = await bringHostInLine();
    return Number(forwarding) + Number(table) + changes;
  }

  function membersOf(scope: Scope): Network[] {
    return views.networks().filter((network) => scopeOf(network) === scope);
  }

  async function differencesIn(scope: Scope): Promise<string[]> {
    if (scope === filterScope) return await filter.differences();
    if (scope === 'host') return inWords('the host', (await compare(scope)).changes);
    const members = membersOf(scope);
    const [first] = members;
    const isThere = (await kernel.namespaces()).includes(scope);
    if (first === undefined) return [`the namespace ${scope} is of no network of this host`];
    if (!isThere) return [`the namespace ${scope} of network ${first.key} is missing`];
    const { filters } = await kernel.namespace(scope);
    return [
      ...(await differencesOf(filters.bridge, scope, () => sendersTable(members))),
      ...(hasLeg(members) ? await differencesOf(filters.inet, scope, () => wayOutTable(members)) : []),
      ...(hasLeg(members) && !kernel.forwards(familiesIn(members), scope)
        ? [`${scope} does not forward`]
        : []),
      ...inWords(scope, (await compare(scope)).changes),
    ];
  }

  async function scopes(): Promise<readonly Scope[]> {
    const wanted = views.networks().map(scopeOf);
    return [...new Set(['host', filterScope, ...wanted, ...(await kernel.namespaces())])];
  }

  return {
    async pass(scope) {
      if (scope === filterScope) return await filter.bringInLine();
      if (scope === 'host') return await bringHostInLine();
      const members = membersOf(scope);
      if (members.length > 0) return await bringSegmentInLine(scope, members);
      unlinked.delete(scope);
      leading.delete(scope);
      if (!(await kernel.namespaces()).includes(scope)) return 0;
      await kernel.removeNamespace(scope);
      return 1;
    },

    leadsToOthers: (scope) => leading.has(scope),

    unlinked() {
      // One that has been joined, left or deleted since is another object, or none.
      return [...unlinked.values()].flat().filter((seen) => ledger.endpoints.get(seen.id) === seen);
    },

    async forgetUnlinked(endpoint) {
      const scope = scopeOfEndpoint(endpoint);
      if (scope === undefined) return;
      const actual = await (await open(scope)).read();
      const isSame = ledger.endpoints.get(endpoint.id) === endpoint;
      if (isSame && !linkNames(actual).has(hostEnd(endpoint.id))) await ledger.endpoints.delete(endpoint.id);
    },

    scopes,

    async differences() {
      return (await Promise.all((await scopes()).map(differencesIn))).flat();
    },
  };
}

/** What is in a namespace, held against what should be. */
interface Comparison {
  readonly namespace: Namespace;
  readonly unlinked: readonly LedgerEndpoint[];
  /** Whether there is an endpoint of this host. */
  readonly isInhabited: boolean;
  readonly changes: readonly Change[];
}

/** Whether other hosts, or their containers, may be reached no more after it. */
function cutsOff(change: Change): boolean {
  if (change.do === 'put') return change.kind === 'route' && change.object.type === 'unreachable';
  return ['route', 'neighbour', 'fdb', 'prefix'].includes(change.kind);
}

/** The host's end of a pair comes with its segment, which cannot be made from here; nor what leads to it, before. */
function withoutUnborn(desired: NamespaceState, links: ReadonlySet<string>): NamespaceState {
  const unborn = desired.links.filter(
    (link) => link.kind === 'veth' && link.peer === undefined && !links.has(link.name),
  );
  const names = new Set(unborn.map(({ name }) => name));
  const isBorn = ({ link }: { readonly link?: string }) => link === undefined || !names.has(link);
  return {
    ...desired,
    links: desired.links.filter(({ name }) => !names.has(name)),
    addresses: desired.addresses.filter(isBorn),
    routes: desired.routes.filter(isBorn),
    ports: desired.ports.filter(isBorn),
  };
}

function bearsHostEnd(change: Change): boolean {
  if (change.do !== 'put' || change.kind !== 'link' || change.object.kind !== 'veth') return false;
  return change.object.peer?.staysWithHost === true;
}

function linkNames({ links }: NamespaceState): ReadonlySet<string> {
  return new Set(links.map(({ name }) => name));
}

function familiesIn(networks: readonly Network[]): Family[] {
  return familiesOf(networks.flatMap(({ pools }) => pools));
}
