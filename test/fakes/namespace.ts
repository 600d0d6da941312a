/** A namespace of the fake kernel. */
import { WeftError } from '../../src/errors.ts';
import { describe as inWords, keyOf, linksNeeded } from '../../src/kernel/change.ts';
import type { Namespace } from '../../src/kernel/kernel.ts';
import type { Change, Link, NamespaceState, Route } from '../../src/kernel/state.ts';
import { parsePrefix } from '../../src/model/address.ts';
import type { FakeKernel } from './kernel.ts';
import { FakePacketFilter } from './packet-filter.ts';

export class FakeNamespace implements Namespace {
  readonly name: string;
  readonly filters: Readonly<Record<'inet' | 'bridge', FakePacketFilter>>;
  readonly #kernel: FakeKernel;
  /** What is there, each as the change that put it. */
  readonly #objects = new Map<string, Change>();
  /** Containers' ends that are still where they were born, in the host's namespace, by the other end. */
  readonly #containerEnds = new Map<string, string>();

  constructor(name: string, kernel: FakeKernel) {
    this.name = name;
    this.#kernel = kernel;
    const attempt = () => kernel.attempt('nft', 'could not use the nft table');
    this.filters = {
      inet: new FakePacketFilter('inet', attempt),
      bridge: new FakePacketFilter('bridge', attempt),
    };
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

  async forget(): Promise<void> {}

  async read(): Promise<NamespaceState> {
    this.#kernel.attempt('read', `could not read ${this.name}`);
    return this.#state();
  }

  async hasLink(name: string): Promise<boolean> {
    this.#kernel.attempt('read', `could not look for link ${name}`);
    return this.#hasLink(name);
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
      shortcuts: changes.flatMap((change) => (change.kind === 'shortcut' ? [change.object] : [])),
      ports: changes.flatMap((change) => (change.kind === 'port' ? [change.object] : [])),
      prefixes: changes.flatMap((change) => (change.kind === 'prefix' ? [change.object] : [])),
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
    parsePrefix(route.destination);
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

  takeEnd(name: string): void {
    for (const [link, end] of this.#containerEnds) if (end === name) this.#containerEnds.delete(link);
  }

  /** As links go whose other end was in a namespace that has ended. */
  lose(name: string): void {
    const object = this.links().find((link) => link.name === name);
    if (object !== undefined) this.#delete({ do: 'delete', kind: 'link', object });
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
