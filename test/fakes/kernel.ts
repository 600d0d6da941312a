/**
 * The kernel in memory: as strict as the real one where it matters to who uses it (what must exist first, what
 * cannot be changed, what goes with a link), and it refuses nonsense. Passes the same suite as the real one.
 */
import { WeftError } from '../../src/errors.ts';
import { describe as inWords, keyOf, linksNeeded } from '../../src/kernel/change.ts';
import type { HostAddress, Kernel, MainRoute, Namespace, PathTo, Settled } from '../../src/kernel/kernel.ts';
import { asInstalled, type InstalledNftTable, type NftTable, renderNftUpdate } from '../../src/kernel/nft.ts';
import type { Change, Link, NamespaceState, Route } from '../../src/kernel/state.ts';
import {
  contains,
  type Family,
  parseAddress,
  parseInterface,
  parsePrefix,
  prefixOf,
  printPrefix,
} from '../../src/model/address.ts';

/** A link of the host that is not weft's. */
export interface Uplink {
  readonly name: string;
  readonly mtu: number;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

/** What can be told to fail: a change of a kind, or one of the kernel's other duties. */
export type Failable = Change['kind'] | 'read' | 'namespace' | 'route-lookup' | 'nft' | 'forward-accept';

const defaultUplinks: readonly Uplink[] = [
  { name: 'eth0', mtu: 1500, addresses: ['10.9.0.1/24', 'fd09::1/64'] },
];

export class FakeKernel implements Kernel {
  readonly host: FakeNamespace;
  /** Every change that was applied, with the namespace it was applied in. */
  readonly applied: { readonly namespace: string; readonly change: Change }[] = [];
  readonly #uplinks: readonly Uplink[];
  readonly #own = new Map<string, FakeNamespace>();
  readonly #failures: Failable[] = [];
  readonly #forwarding = new Set<Family>();
  #nft: InstalledNftTable | undefined;
  #forwardAccepted = false;

  constructor(uplinks = defaultUplinks) {
    this.#uplinks = uplinks;
    this.host = new FakeNamespace('host', this);
  }

  /** The next thing of that kind fails, once; each call adds one failure. */
  failNext(what: Failable): void {
    this.#failures.push(what);
  }

  /** @throws WeftError `kernel` when told to */
  attempt(what: Failable, sentence: string): void {
    const position = this.#failures.indexOf(what);
    if (position === -1) return;
    this.#failures.splice(position, 1);
    throw new WeftError('kernel', `${sentence}: told to fail`);
  }

  /** The host's, then those of weft's own. */
  everywhere(): readonly FakeNamespace[] {
    return [this.host, ...this.#own.values()];
  }

  uplinkTowards(address: string): Uplink | undefined {
    return this.#uplinks.find(({ addresses }) =>
      addresses.some((own) => contains(subnetOf(own), parseAddress(address))),
    );
  }

  hasUplink(name: string): boolean {
    return this.#uplinks.some((uplink) => uplink.name === name);
  }

  async namespace(name: string): Promise<Namespace> {
    this.attempt('namespace', `could not open ${name}`);
    if (!name.startsWith('weft-'))
      throw new WeftError('internal', `"${name}" cannot be a namespace of weft's`);
    const namespace = this.#own.get(name) ?? new FakeNamespace(name, this);
    this.#own.set(name, namespace);
    return namespace;
  }

  async namespaces(): Promise<readonly string[]> {
    return [...this.#own.keys()];
  }

  async removeNamespace(name: string): Promise<void> {
    this.attempt('namespace', `could not remove ${name}`);
    this.#own.delete(name);
  }

  async route(destinations: readonly string[]): Promise<readonly (PathTo | undefined)[]> {
    this.attempt('route-lookup', 'could not ask for a route');
    return destinations.map((destination) => this.#pathTo(destination));
  }

  #pathTo(destination: string): PathTo | undefined {
    const address = parseAddress(destination);
    const routes = this.host.routes().filter((route) => contains(parsePrefix(route.destination), address));
    const longest = (route: Route) => parsePrefix(route.destination).length;
    const [best] = routes.toSorted((a, b) => longest(b) - longest(a));
    if (best?.type === 'unreachable') return undefined;
    const hop = best?.via ?? destination;
    const uplink = this.uplinkTowards(hop);
    const local = this.host.links().find(({ name }) => name === best?.link);
    const link = local ?? uplink;
    if (link === undefined) return undefined;
    const addresses = uplink?.addresses ?? this.host.addressesOf(link.name);
    const source = addresses
      .map((own) => own.replace(/\/.*/, ''))
      .find((own) => parseAddress(own).family === address.family);
    if (source === undefined) return undefined;
    return {
      link: link.name,
      linkMtu: link.mtu,
      source,
      ...(best?.via === undefined ? {} : { via: best.via }),
    };
  }

  async mainRoutes(): Promise<readonly MainRoute[]> {
    const connected = this.#uplinks.flatMap(({ name, addresses }) =>
      addresses.map((own) => ({ destination: printPrefix(subnetOf(own)), link: name, own: false })),
    );
    const own = this.host
      .routes()
      .flatMap(({ destination, link }) => (link === undefined ? [] : [{ destination, link, own: true }]));
    return [...connected, ...own];
  }

  async addresses(): Promise<readonly HostAddress[]> {
    return this.#uplinks.flatMap(({ name, mtu, addresses }) =>
      addresses.map((own) => ({ address: own.replace(/\/.*/, ''), link: name, linkMtu: mtu })),
    );
  }

  async readNftTable(): Promise<InstalledNftTable | undefined> {
    this.attempt('nft', 'could not read the nft table');
    return this.#nft;
  }

  async writeNftTable(table: NftTable): Promise<Settled> {
    this.attempt('nft', 'could not write the nft table');
    if (renderNftUpdate(this.#nft, table) === undefined) return { changed: false };
    this.#nft = asInstalled(table);
    return { changed: true };
  }

  async deleteNftTable(): Promise<void> {
    this.attempt('nft', 'could not delete the nft table');
    this.#nft = undefined;
  }

  async ensureForwardAccept(): Promise<Settled> {
    this.attempt('forward-accept', 'could not add the rules to FORWARD');
    const changed = !this.#forwardAccepted;
    this.#forwardAccepted = true;
    return { changed };
  }

  async removeForwardAccept(): Promise<void> {
    this.attempt('forward-accept', 'could not remove the rules from FORWARD');
    this.#forwardAccepted = false;
  }

  makeSysctlsWritable(): void {}

  enableForwarding(families: readonly Family[]): Settled {
    const off = families.filter((family) => !this.#forwarding.has(family));
    for (const family of off) this.#forwarding.add(family);
    return { changed: off.length > 0 };
  }

  close(): void {}
}

class FakeNamespace implements Namespace {
  readonly name: string;
  readonly #kernel: FakeKernel;
  /** What is there, each as the change that put it. */
  readonly #objects = new Map<string, Change>();
  /** Containers' ends that are still where they were born, in the host's namespace, by the other end. */
  readonly #containerEnds = new Map<string, string>();

  constructor(name: string, kernel: FakeKernel) {
    this.name = name;
    this.#kernel = kernel;
  }

  links(): readonly Link[] {
    return this.#state().links;
  }

  routes(): readonly Route[] {
    return this.#state().routes;
  }

  addressesOf(link: string): readonly string[] {
    return this.#state().addresses.flatMap((object) => (object.link === link ? [object.address] : []));
  }

  containerEnds(): string[] {
    return [...this.#containerEnds.values()];
  }

  async read(): Promise<NamespaceState> {
    this.#kernel.attempt('read', `could not read ${this.name}`);
    return this.#state();
  }

  #state(): NamespaceState {
    const changes = [...this.#objects.values()];
    return {
      links: changes.flatMap((change) => (change.kind === 'link' ? [change.object] : [])),
      addresses: changes.flatMap((change) => (change.kind === 'address' ? [change.object] : [])),
      routes: changes.flatMap((change) => (change.kind === 'route' ? [change.object] : [])),
      rules: changes.flatMap((change) => (change.kind === 'rule' ? [change.object] : [])),
      neighbours: changes.flatMap((change) => (change.kind === 'neighbour' ? [change.object] : [])),
      fdb: changes.flatMap((change) => (change.kind === 'fdb' ? [change.object] : [])),
    };
  }

  async apply(changes: readonly Change[]): Promise<void> {
    const failures: unknown[] = [];
    for (const change of changes) {
      try {
        this.#kernel.attempt(change.kind, `could not ${verb(change)} ${inWords(change)}`);
        if (change.do === 'put') this.#put(change);
        else this.#delete(change);
        this.#kernel.applied.push({ namespace: this.name, change });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `${failures.length} of ${changes.length} failed`);
  }

  #put(change: Change): void {
    const refuse = (why: string): never => {
      throw new WeftError('kernel', `could not add ${inWords(change)}: ${why}`);
    };
    const missing = linksNeeded(change).find((name) => !this.#hasLink(name));
    if (missing !== undefined) refuse(`there is no link ${missing}`);
    if (change.kind === 'link') {
      const object = this.#asMade(change.object, refuse);
      this.#flush(object);
      this.#objects.set(keyOf(change), { ...change, object });
    } else if (change.kind === 'route') {
      this.#objects.set(keyOf(change), { ...change, object: this.#asRouted(change.object, refuse) });
    } else if (change.kind === 'address' && this.#objects.has(keyOf(change))) {
      // Its scope stays as it was.
    } else {
      this.#objects.set(keyOf(change), change);
    }
  }

  #asMade(link: Link, refuse: (why: string) => never): Link {
    const present = this.links().find(({ name }) => name === link.name);
    if (present !== undefined && present.kind !== link.kind) refuse(`a link of that name is there`);
    if (link.kind === 'bridge') return link;
    if (link.kind === 'vxlan') {
      if (present?.kind === 'vxlan') {
        const { vni, local, port } = present;
        return { ...link, vni, local, port };
      }
      const all = this.#kernel.everywhere().flatMap((namespace) => namespace.links());
      const same = all.find(
        (other) => other.kind === 'vxlan' && other.vni === link.vni && other.port === link.port,
      );
      if (same !== undefined) refuse('a vxlan device with that VNI exists');
      return link;
    }
    const { peer, ...visible } = link;
    if (present !== undefined) return visible;
    if (peer === undefined) return refuse('without its peer it cannot be made');
    const taken = this.#kernel.everywhere().flatMap((namespace) => namespace.containerEnds());
    if (taken.includes(peer.name) || this.#hasLink(peer.name)) refuse('the name of its peer is taken');
    this.#containerEnds.set(link.name, peer.name);
    return visible;
  }

  /** The kernel finds the link of a next hop, if there is one on whose subnet it is. */
  #asRouted(route: Route, refuse: (why: string) => never): Route {
    if (route.type === 'unreachable') {
      return route.via === undefined && route.link === undefined ? route : refuse('it has a next hop');
    }
    if (route.link !== undefined) return route;
    const uplink = route.via === undefined ? undefined : this.#kernel.uplinkTowards(route.via);
    if (uplink === undefined || this.name !== 'host') return refuse('its next hop is on no link');
    return { ...route, link: uplink.name };
  }

  /** Another MAC costs a link its neighbours, another bridge the MACs behind it. */
  #flush(changed: Link): void {
    const present = this.links().find(({ name }) => name === changed.name);
    for (const [key, { kind, object }] of this.#objects) {
      const isOn = 'link' in object && object.link === changed.name;
      const lost =
        (kind === 'neighbour' && present?.mac !== changed.mac) ||
        (kind === 'fdb' &&
          'table' in object &&
          object.table === 'master' &&
          present?.master !== changed.master);
      if (isOn && lost) this.#objects.delete(key);
    }
  }

  #delete(change: Change): void {
    if (!this.#objects.delete(keyOf(change)) || change.kind !== 'link') return;
    const { name } = change.object;
    this.#containerEnds.delete(name);
    for (const [key, other] of this.#objects) {
      if (other.kind === 'link' && other.object.master === name) {
        const { master, ...free } = other.object;
        this.#objects.set(key, { ...other, object: free });
      } else if (linksNeeded(other).includes(name)) {
        this.#objects.delete(key);
      }
    }
  }

  #hasLink(name: string): boolean {
    if (this.links().some((link) => link.name === name)) return true;
    return this.name === 'host' && this.#kernel.hasUplink(name);
  }
}

function verb(change: Change): string {
  return change.do === 'put' ? 'add' : 'delete';
}

function subnetOf(text: string) {
  const { address, length } = parseInterface(text);
  return prefixOf(address, length);
}
