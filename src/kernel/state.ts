/**
 * What a network namespace holds, as plain data: the vocabulary in which a fabric says what should be and
 * the kernel says what is. Addresses are canonical text (`10.77.0.5`, `10.77.0.0/26`, `fd00::1/128`), MACs
 * are lower-case colon form, links are named, never numbered.
 */

interface LinkBase {
  /** At most 15 bytes; weft's own begin with `weft` (host namespace). */
  readonly name: string;
  readonly mtu: number;
  readonly mac: string;
  readonly up: boolean;
  /** Name of the bridge this link is a port of. */
  readonly master?: string;
}

/**
 * One end of a pair. `peer` is the container's end as it is created, in the host's namespace, where Docker
 * takes it; once it is in the container it cannot be seen from here, so it is no part of a comparison.
 */
export interface Veth extends LinkBase {
  readonly kind: 'veth';
  /** Needed to create the pair; never read back. */
  readonly peer?: {
    readonly name: string;
    readonly mac: string;
    readonly mtu: number;
    /** It is no container's, but weft's own there. Absent: Docker takes it. */
    readonly staysWithHost?: boolean;
  };
  /** Strict reverse-path filter (rp_filter=1): a container sends only from addresses routed to its link. */
  readonly strictSource: boolean;
  /**
   * Packets of the host's loopback addresses may leave by it (route_localnet=1), as they do when the host uses a
   * port that it publishes. Absent: they may not.
   */
  readonly routesLoopback?: boolean;
}

/** `mac` is set on creation: an automatic one changes with the ports, and the kernel then drops neighbours. */
export interface Bridge extends LinkBase {
  readonly kind: 'bridge';
}

/** Its UDP socket lives in the host's namespace, wherever the link itself is. Never learns. */
export interface Vxlan extends LinkBase {
  readonly kind: 'vxlan';
  readonly vni: number;
  /** Underlay address it sends from. */
  readonly local: string;
  readonly port: number;
  /** As a bridge port: answer ARP and ND from the bridge's neighbours, do not learn, and take no frame for an unknown MAC. */
  readonly suppressNeighbours: boolean;
  /**
   * Loose reverse-path filter (rp_filter=2), whatever the host's default: it takes packets whose way back is
   * another link, too.
   */
  readonly looseSource: boolean;
}

export type Link = Veth | Bridge | Vxlan;

export interface LinkAddress {
  readonly link: string;
  /** With prefix length: `169.254.1.1/32`. */
  readonly address: string;
  /** Of an IPv6 address the kernel knows it from the address, and this says nothing. */
  readonly scope: 'global' | 'link';
}

/** Routing table of weft's own, beside the main one; only what a rule sends there is looked up in it. */
export const ownTable = 1190;

/** Key: table and destination. */
export interface Route {
  /** `ownTable`; absent: the main one. */
  readonly table?: number;
  readonly destination: string;
  /** `unreachable` answers the sender at once and has neither link nor next hop. */
  readonly type: 'unicast' | 'unreachable';
  /** With a next hop: it is on this link, whatever the other routes say. Absent: the kernel finds it out. */
  readonly link?: string;
  /** Next hop, of either family; absent = on-link. */
  readonly via?: string;
  /** Address of this host to send from. Absent: the kernel chooses. */
  readonly source?: string;
  /** Bytes; a sender of more is answered by the kernel. Absent: those of the link. */
  readonly mtu?: number;
}

/** Permanent ARP/ND entry. Key: link and address. */
export interface Neighbour {
  readonly link: string;
  readonly address: string;
  readonly mac: string;
}

/**
 * Forwarding entry. `self` is the vxlan device's own table (which VTEP has this MAC), `master` the bridge's
 * (which port has it). Key: link, table, MAC, and for the all-zero MAC also the VTEP.
 */
export type FdbEntry =
  | { readonly link: string; readonly table: 'self'; readonly mac: string; readonly vtep: string }
  | { readonly link: string; readonly table: 'master'; readonly mac: string };

/** Of a vxlan device: frames to all, and to MACs that have no entry, go to every VTEP that this one has. */
export const allOtherMacs = '00:00:00:00:00:00';

/** Policy rule. Key: all of it. */
export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly from?: string;
  readonly to?: string;
  readonly inputLink?: string;
  /** Of packets: all of these bits are set. */
  readonly mark?: number;
}

/**
 * A program at the entrance of a link that leads packets past routing, bridge and packet filter where all of it is known
 * to be allowed. `out`: of a container's link; `in`: of one that packets of other hosts come by; `door`: of the one in a
 * segment that the host's shortcut leads to. Key: link.
 */
export interface Shortcut {
  readonly link: string;
  readonly side: 'out' | 'in' | 'door';
  /** As another weft has left it: not the program that this one has, or not with the same maps. */
  readonly isOutdated?: true;
}

/** Where the programs lead what is for a destination, and who sends with its addresses. Key: destination. */
export interface ShortcutEntry {
  /** With prefix length. */
  readonly destination: string;
  readonly link: string;
  /** Nothing takes a shortcut from one network to another: 16 hexadecimal digits. */
  readonly network: string;
  /** Bytes of the longest packet. */
  readonly mtu: number;
  /** Of who has the destination; absent: the kernel finds out who is next on the way. */
  readonly mac?: string;
}

export interface NamespaceState {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly neighbours: readonly Neighbour[];
  readonly fdb: readonly FdbEntry[];
  readonly shortcuts: readonly Shortcut[];
  /** Addresses of containers of this host. */
  readonly ports: readonly ShortcutEntry[];
  /** What other hosts have. */
  readonly prefixes: readonly ShortcutEntry[];
}

export const emptyState: NamespaceState = {
  links: [],
  addresses: [],
  routes: [],
  rules: [],
  neighbours: [],
  fdb: [],
  shortcuts: [],
  ports: [],
  prefixes: [],
};

/** One step from what is to what should be. `put` creates or replaces; doing either twice is harmless. */
export type Change =
  | { readonly do: 'put' | 'delete'; readonly kind: 'link'; readonly object: Link }
  | { readonly do: 'put' | 'delete'; readonly kind: 'address'; readonly object: LinkAddress }
  | { readonly do: 'put' | 'delete'; readonly kind: 'route'; readonly object: Route }
  | { readonly do: 'put' | 'delete'; readonly kind: 'rule'; readonly object: Rule }
  | { readonly do: 'put' | 'delete'; readonly kind: 'neighbour'; readonly object: Neighbour }
  | { readonly do: 'put' | 'delete'; readonly kind: 'fdb'; readonly object: FdbEntry }
  | { readonly do: 'put' | 'delete'; readonly kind: 'shortcut'; readonly object: Shortcut }
  | { readonly do: 'put' | 'delete'; readonly kind: 'port' | 'prefix'; readonly object: ShortcutEntry };
