/**
 * The kernel in memory: as strict as the real one where it matters to who uses it (what must exist first, what
 * cannot be changed, what goes with a link), and it refuses nonsense. Passes the same suite as the real one.
 */
import { WeftError } from '../../src/errors.ts';
import type {
  HeldPort,
  HostAddress,
  HostChange,
  Kernel,
  MainRoute,
  Namespace,
  PathTo,
  PortWish,
  Settled,
  UdpPlace,
  UdpSocket,
} from '../../src/kernel/kernel.ts';
import type { Change, Route } from '../../src/kernel/state.ts';
import {
  contains,
  type Family,
  parseAddress,
  parseInterface,
  parsePrefix,
  prefixOf,
  printPrefix,
} from '../../src/model/address.ts';
import { hostEnd, macOf } from '../../src/model/names.ts';
import { FakeNamespace } from './namespace.ts';

/** A link of the host that is not weft's. */
export interface Uplink {
  readonly name: string;
  readonly mtu: number;
  /** With prefix length. */
  readonly addresses: readonly string[];
  /** By default one that goes with the first address. */
  readonly mac?: string;
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
  readonly #forwarding = new Set<string>();
  readonly #watchers = new Set<(change: HostChange) => void>();
  readonly #udp = new Map<string, (bytes: Buffer, from: UdpPlace) => void>();
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

  /** Sandboxes that Docker does not keep any more. */
  readonly endedSandboxes = new Set<string>();

  keepsSandbox(sandbox: string): boolean {
    return !this.endedSandboxes.has(sandbox);
  }

  async containerEnds(): Promise<readonly string[]> {
    this.attempt('read', 'could not list links');
    return this.everywhere().flatMap((namespace) => namespace.containerEnds());
  }

  /** Docker moves a container's end into the container. */
  takeEnd(name: string): void {
    for (const namespace of this.everywhere()) namespace.takeEnd(name);
  }

  /** A container's namespace ends, and the endpoint's link with it. */
  endLink(endpointId: string): void {
    for (const namespace of this.everywhere()) namespace.lose(hostEnd(endpointId));
  }

  async route(destinations: readonly string[]): Promise<readonly (PathTo | undefined)[]> {
    this.attempt('route-lookup', 'could not ask for a route');
    return destinations.map((destination) => this.#pathTo(destination));
  }

  #pathTo(destination: string): PathTo | undefined {
    const address = parseAddress(destination);
    const routes = this.#mainRoutes().filter((route) => contains(parsePrefix(route.destination), address));
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
    const own = this.#mainRoutes().flatMap(({ destination, link, via }) =>
      link === undefined ? [] : [{ destination, link, own: true, ...(via === undefined ? {} : { via }) }],
    );
    return [...connected, ...own];
  }

  #mainRoutes(): readonly Route[] {
    return this.host.routes().filter(({ table }) => table === undefined);
  }

  async addresses(): Promise<readonly HostAddress[]> {
    return this.#uplinks.flatMap(({ name, mtu, addresses, mac }) =>
      addresses.map((own) => ({
        address: withoutLength(own),
        ...{ link: name, linkMtu: mtu, linkMac: mac ?? macOf(withoutLength(addresses[0] ?? own)) },
      })),
    );
  }

  async linkLocal(link: string): Promise<string | undefined> {
    const uplink = this.#uplinks.find(({ name }) => name === link);
    return uplink?.addresses.some((own) => own.includes(':')) ? 'fe80::9' : undefined;
  }

  /** Something of the host has changed, by another than weft. */
  announce(change: HostChange): void {
    for (const changed of this.#watchers) changed(change);
  }

  watch(changed: (change: HostChange) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  openUdp(at: UdpPlace, receive: (bytes: Buffer, from: UdpPlace) => void): UdpSocket {
    const key = `${at.address} ${at.port}`;
    if (this.#udp.has(key))
      throw new WeftError('kernel', `could not open UDP port ${at.port}: bind: EADDRINUSE`);
    this.#udp.set(key, receive);
    return {
      send: (bytes, to) => {
        const listener = this.#udp.get(`${to.address} ${to.port}`);
        queueMicrotask(() => listener?.(bytes, at));
      },
      close: () => void this.#udp.delete(key),
    };
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

  async hasForwardAccept(): Promise<boolean> {
    return this.#forwardAccepted;
  }

  /** Ports are held for ever, but by the one who lets go of them. */
  readonly heldPorts = new Set<string>();

  holdPort({ protocol, address, port }: PortWish): HeldPort {
    const chosen = port === 0 ? 32_768 + this.heldPorts.size : port;
    const name = `${address} ${protocol} ${chosen}`;
    if (this.heldPorts.has(name)) throw new WeftError('conflict', `port ${chosen} of this host is in use`);
    this.heldPorts.add(name);
    return { port: chosen, release: () => this.heldPorts.delete(name) };
  }

  makeSysctlsWritable(): void {}

  hasIpv6(): boolean {
    return true;
  }

  enableForwarding(families: readonly Family[], namespace = 'host'): Settled {
    const off = families
      .map((family) => `${namespace} ${family}`)
      .filter((place) => !this.#forwarding.has(place));
    for (const place of off) this.#forwarding.add(place);
    return { changed: off.length > 0 };
  }

  forwards(families: readonly Family[], namespace = 'host'): boolean {
    return families.every((family) => this.#forwarding.has(`${namespace} ${family}`));
  }

  /** Told by tests. */
  obstacle: string | undefined;

  shortcutObstacle(): string | undefined {
    return this.obstacle;
  }

  close(): void {}
}

function withoutLength(address: string): string {
  return address.replace(/\/.*/, '');
}

function subnetOf(text: string) {
  const { address, length } = parseInterface(text);
  return prefixOf(address, length);
}
