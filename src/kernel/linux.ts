/** The kernel that this process runs on, by netlink and system calls. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { endianness } from 'node:os';
import { WeftError } from '../errors.ts';
import type { Family } from '../model/address.ts';
import { ShortcutAccess, shortcutObstacle } from './bpf/shortcut.ts';
import {
  ensureForwardAccept,
  type FilterPlace,
  hasForwardAccept,
  removeForwardAccept,
} from './forward-accept.ts';
import type { Kernel, Settled } from './kernel.ts';
import { protocol } from './mark.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { raiseLoopback } from './netlink/link.ts';
import { SocketPool } from './netlink/socket.ts';
import { isPinned, listPins, openPinned, pinFile, removePin } from './pin.ts';
import { type HeldPort, holdPort, type PortWish } from './port.ts';
import { containerEnds, inHostNamespace, inOwnNamespace } from './read.ts';
import {
  type HostAddress,
  hostAddresses,
  linkLocalOf,
  type MainRoute,
  mainRoutes,
  type PathTo,
  pathsTo,
} from './routing.ts';
import { isSandboxKept } from './sandbox.ts';
import { openNetlinkSocket } from './sockets.ts';
import { currentNamespace, inNamespace } from './syscalls.ts';
import { enableForwarding, forwards, hasIpv6, makeSysctlsWritable } from './sysctl.ts';
import { openUdp, type UdpPlace, type UdpSocket } from './udp.ts';
import { type HostChange, type Subscription, subscribeToSegment, watchChanges } from './watch.ts';

export interface KernelOptions {
  /** `/run` of the host, as this process sees it: where pins are made. */
  readonly runDir: string;
  /** File of the namespace to take for the host's; the current one by default. */
  readonly hostNamespace?: string;
}

/** Deletions of veths wait in the kernel side by side, so that four are done in the time of one. */
const hostSocketCount = 4;

/** Of a network's own: one slow request must not keep a starting container waiting. */
const ownSocketCount = 2;

/** The kernel changes the packet filter of a namespace one transaction at a time. */
const filterSocketCount = 1;

/** Asks nothing of the kernel yet. @throws where there is no such namespace */
export async function openKernel(options: KernelOptions): Promise<Kernel> {
  if (endianness() !== 'LE') throw new WeftError('internal', 'weft runs on little-endian machines only');
  return new LinuxKernel(options);
}

class LinuxKernel implements Kernel {
  readonly host: Namespace;
  readonly #runDir: string;
  readonly #hostNamespace: string | undefined;
  readonly #hostFd: number;
  readonly #hostSockets: SocketPool;
  readonly #hostFilterSockets: SocketPool;
  readonly #hostShortcut = new ShortcutAccess('routed');
  readonly #families: readonly Family[] = existsSync('/proc/net/if_inet6') ? [4, 6] : [4];
  readonly #own = new Map<string, OwnNamespace>();

  constructor({ runDir, hostNamespace }: KernelOptions) {
    this.#runDir = runDir;
    this.#hostNamespace = hostNamespace;
    this.#hostFd = openSync(hostNamespace ?? currentNamespace, 'r');
    this.#hostSockets = socketsIn(this.#hostFd, 'rtnetlink', hostSocketCount);
    this.#hostFilterSockets = socketsIn(this.#hostFd, 'netfilter', filterSocketCount);
    const target = { sockets: this.#hostSockets, shortcut: this.#hostShortcut, mark, deletable: mark };
    const filter = { sockets: this.#hostFilterSockets, file: hostNamespace };
    this.host = createNamespace('host', target, inHostNamespace, this.#families, filter);
  }

  async namespace(name: string): Promise<Namespace> {
    const known = this.#own.get(name);
    if (known !== undefined) return known.namespace;
    const file = pinFile(this.#runDir, name);
    const fd = openPinned(file);
    const sockets = socketsIn(fd, 'rtnetlink', ownSocketCount);
    const filterSockets = socketsIn(fd, 'netfilter', filterSocketCount);
    const shortcut = new ShortcutAccess('segment');
    const target = {
      sockets,
      shortcut,
      beside: { namespaceFd: fd, hostSockets: this.#hostSockets, hostFd: this.#hostFd },
      mark,
      deletable: anyones,
    };
    const filter = { sockets: filterSockets, file };
    const namespace = createNamespace(name, target, inOwnNamespace, this.#families, filter);
    const subscriptions = subscribeToSegment(fd, name);
    this.#own.set(name, { namespace, held: [sockets, filterSockets, shortcut], subscriptions, fd });
    await sockets.ask([raiseLoopback()]);
    return namespace;
  }

  async namespaces(): Promise<readonly string[]> {
    return listPins(this.#runDir);
  }

  async removeNamespace(name: string): Promise<void> {
    const file = pinFile(this.#runDir, name);
    if (isPinned(file)) {
      // Its links would go by themselves, but some time after the last who holds the namespace.
      const namespace = await this.namespace(name);
      const { links } = await namespace.read();
      await namespace.apply(links.map((object) => ({ do: 'delete', kind: 'link', object })));
    }
    this.#letGo(name);
    removePin(file);
  }

  keepsSandbox(sandbox: string): boolean {
    return isSandboxKept(this.#runDir, sandbox);
  }

  containerEnds(): Promise<readonly string[]> {
    return containerEnds(this.#hostSockets);
  }

  route(destinations: readonly string[]): Promise<readonly (PathTo | undefined)[]> {
    return pathsTo(this.#hostSockets, destinations);
  }

  mainRoutes(): Promise<readonly MainRoute[]> {
    return mainRoutes(this.#hostSockets, this.#families);
  }

  addresses(): Promise<readonly HostAddress[]> {
    return hostAddresses(this.#hostSockets, this.#families);
  }

  linkLocal(link: string): Promise<string | undefined> {
    return linkLocalOf(this.#hostSockets, link);
  }

  watch(changed: (change: HostChange) => void): () => void {
    const ofSegments = () => [...this.#own.values()].flatMap(({ subscriptions }) => subscriptions);
    return watchChanges(this.#hostFd, ofSegments, changed);
  }

  openUdp(at: UdpPlace, receive: (bytes: Buffer, from: UdpPlace) => void): UdpSocket {
    return openUdp(this.#hostFd, at, receive);
  }

  async ensureForwardAccept(): Promise<Settled> {
    return { changed: await ensureForwardAccept(this.#filterPlace()) };
  }

  removeForwardAccept(): Promise<void> {
    return removeForwardAccept(this.#filterPlace());
  }

  hasForwardAccept(): Promise<boolean> {
    return hasForwardAccept(this.#filterPlace());
  }

  holdPort(wish: PortWish): HeldPort {
    return holdPort(this.#hostFd, wish);
  }

  makeSysctlsWritable(): void {
    makeSysctlsWritable();
  }

  hasIpv6(): boolean {
    return inNamespace(this.#hostFd, hasIpv6);
  }

  enableForwarding(families: readonly Family[], namespace?: string): Settled {
    return { changed: inNamespace(this.#fdOf(namespace), () => enableForwarding(families)) };
  }

  forwards(families: readonly Family[], namespace?: string): boolean {
    return inNamespace(this.#fdOf(namespace), () => forwards(families));
  }

  shortcutObstacle(): string | undefined {
    return shortcutObstacle();
  }

  close(): void {
    for (const name of this.#own.keys()) this.#letGo(name);
    this.#hostSockets.close();
    this.#hostFilterSockets.close();
    this.#hostShortcut.close();
    closeSync(this.#hostFd);
  }

  #fdOf(namespace: string | undefined): number {
    const fd = namespace === undefined ? this.#hostFd : this.#own.get(namespace)?.fd;
    if (fd !== undefined) return fd;
    throw new WeftError('internal', `namespace ${namespace} has not been opened`);
  }

  #letGo(name: string): void {
    const own = this.#own.get(name);
    if (own === undefined) return;
    this.#own.delete(name);
    for (const held of [...own.held, ...own.subscriptions]) held.close();
    closeSync(own.fd);
  }

  #filterPlace(): FilterPlace {
    return { runDir: this.#runDir, namespaceFd: this.#hostFd, namespace: this.#hostNamespace };
  }
}

interface OwnNamespace {
  readonly namespace: Namespace;
  readonly held: readonly { close(): void }[];
  readonly subscriptions: readonly Subscription[];
  readonly fd: number;
}

const mark = { protocol, metric: protocol };
const anyones = { protocol: 0, metric: 0 };

function socketsIn(
  namespaceFd: number,
  protocol: Parameters<typeof openNetlinkSocket>[0],
  count: number,
): SocketPool {
  return new SocketPool(() => inNamespace(namespaceFd, () => openNetlinkSocket(protocol)), count);
}
