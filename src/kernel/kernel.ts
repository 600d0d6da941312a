import type { Family } from '../model/address.ts';
import type { Namespace } from './namespace.ts';
import type { PacketFilter } from './packet-filter.ts';
import type { HeldPort, PortWish } from './port.ts';
import type { HostAddress, MainRoute, PathTo } from './routing.ts';
import type { UdpPlace, UdpSocket } from './udp.ts';
import type { HostChange } from './watch.ts';

export type {
  HeldPort,
  HostAddress,
  HostChange,
  MainRoute,
  Namespace,
  PacketFilter,
  PathTo,
  PortWish,
  UdpPlace,
  UdpSocket,
};

/** Whether anything had to be changed: what a repair pass counts as drift. */
export interface Settled {
  readonly changed: boolean;
}

/**
 * All that weft does to the kernel. Every call is idempotent, and every failure is a WeftError `kernel`
 * (an AggregateError of them where several changes were asked for).
 */
export interface Kernel {
  readonly host: Namespace;
  /** The network's own namespace, made and pinned at `<runDir>/netns/<name>` when missing; `weft-` names only. */
  namespace(name: string): Promise<Namespace>;
  /** Names of weft's pins, live or left behind by a reboot. */
  namespaces(): Promise<readonly string[]>;
  /** Deletes its links (and so the containers' ends) at once, then its pin. */
  removeNamespace(name: string): Promise<void>;
  /** Whether Docker keeps the namespace of that sandbox; no, where weft cannot see what Docker mounts. */
  keepsSandbox(sandbox: string): boolean;
  /** Names of the containers' ends that Docker has not taken from the host's namespace; one that it puts back is no more. */
  containerEnds(): Promise<readonly string[]>;

  /** In the order asked; undefined where the kernel has no way there. */
  route(destinations: readonly string[]): Promise<readonly (PathTo | undefined)[]>;
  mainRoutes(): Promise<readonly MainRoute[]>;
  /** Of global scope, of links that are not weft's; loopback's last. Temporary ones (RFC 8981) are left out. */
  addresses(): Promise<readonly HostAddress[]>;
  /** IPv6 address by which the link's neighbours reach this host; undefined where there is none. */
  linkLocal(link: string): Promise<string | undefined>;

  /** Calls back, soon, for what others change in the namespaces of the host and of networks; answers what ends that. */
  watch(changed: (change: HostChange) => void): () => void;
  /** A socket of the host's namespace, of any address; @throws WeftError `kernel` when the port is taken */
  openUdp(at: UdpPlace, receive: (bytes: Buffer, from: UdpPlace) => void): UdpSocket;

  /** Lets traffic of weft's links pass the FORWARD chain that Docker closes; see `forward-accept.ts`. */
  ensureForwardAccept(): Promise<Settled>;
  removeForwardAccept(): Promise<void>;
  /** Whether nothing is left to ensure. */
  hasForwardAccept(): Promise<boolean>;

  /**
   * Keeps a port of the host from everybody else, for as long as this process runs.
   * @throws WeftError `conflict` when another process has it, `invalid` when the host has no such address
   */
  holdPort(wish: PortWish): HeldPort;

  /** A managed plugin has /proc/sys read-only; remounts it. */
  makeSysctlsWritable(): void;
  /** Whether links that are made in the host's namespace have IPv6; an administrator may have switched it off. */
  hasIpv6(): boolean;
  /** Turns routing on where it is off: on the host, or in a namespace of weft's that has been opened. */
  enableForwarding(families: readonly Family[], namespace?: string): Settled;
  /** Whether it is on; in the same places. */
  forwards(families: readonly Family[], namespace?: string): boolean;

  /** Why this kernel lets no packet take a shortcut; undefined: it does. */
  shortcutObstacle(): string | undefined;

  /** Lets go of sockets and namespaces; changes nothing in the kernel. */
  close(): void;
}
