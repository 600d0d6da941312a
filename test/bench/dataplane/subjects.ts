/** What is compared: ways to connect two containers (or machines) on two hosts. */

/** One of the two hosts. */
export type Side = 0 | 1;

/**
 * Without weft; with it; with it where packets are encapsulated; with it and segments alone. None pays for what another
 * has in its kernel.
 */
export type Hosts = 'plain' | 'weft' | 'tunnel' | 'segment';

export type Wiring =
  /** Two machines on the same switch with no Docker, nor any packet filter: what the link gives. */
  | { readonly kind: 'bare' }
  /** Two containers with a veth each and a route on each host, made by hand: what weft's own wiring can give. */
  | { readonly kind: 'hand-made' }
  /** Two containers on a Docker network. */
  | {
      readonly kind: 'network';
      readonly on: Hosts;
      /** Arguments of `docker network create`; undefined: made on the other side for both. */
      readonly create: (side: Side) => readonly string[] | undefined;
    };

export interface Subject {
  readonly name: string;
  readonly title: string;
  readonly wiring: Wiring;
  /** Compared with this subject, and only under the first condition. */
  readonly variantOf?: string;
  /** So many more elements in each of weft's filter sets and of the shortcut's maps, on both hosts, while it is measured. */
  readonly elements?: number;
}

/** What the others are compared with. */
export const references = ['raw', 'overlay'] as const;

const routed = weft('weft', '10.77.0.0/16', 'weft.fabric=routed');

export const subjects: readonly Subject[] = [
  { name: 'raw', title: 'raw host to host', wiring: { kind: 'bare' } },
  {
    name: 'overlay',
    title: 'Docker overlay',
    wiring: {
      kind: 'network',
      on: 'plain',
      create: (side) =>
        side === 0 ? ['--driver', 'overlay', '--attachable', '--subnet', '10.74.0.0/16'] : undefined,
    },
  },
  {
    name: 'macvlan',
    title: 'Docker macvlan',
    wiring: {
      kind: 'network',
      on: 'plain',
      create: (side) => [
        ...['--driver', 'macvlan', '-o', 'parent=eth0', '--subnet', '10.9.1.0/24', '--gateway', '10.9.1.254'],
        // Docker on one host knows nothing of the other's addresses.
        ...['--ip-range', `10.9.1.${64 + 16 * side}/28`],
      ],
    },
  },
  { name: 'hand-made', title: 'veth + routes by hand', wiring: { kind: 'hand-made' } },
  { name: 'routed', title: 'weft routed', wiring: routed },
  {
    name: 'encapsulated',
    title: 'weft routed, encapsulated',
    wiring: weft('tunnel', '10.78.0.0/16', 'weft.fabric=routed', 'weft.encap=always'),
  },
  { name: 'vxlan', title: 'weft vxlan', wiring: weft('segment', '10.79.0.0/16', 'weft.fabric=vxlan') },
  ...[10, 1_000, 10_000].map((elements) => ({
    name: `routed-${elements}`,
    title: `… ${elements.toLocaleString('en')} in the sets`,
    wiring: routed,
    variantOf: 'routed',
    elements,
  })),
];

function weft(on: Hosts, subnet: string, ...options: readonly string[]): Wiring {
  const args = ['--driver', 'weft', '--ipam-driver', 'weft-ipam', '--subnet', subnet];
  return {
    kind: 'network',
    on,
    create: () => [...args, ...options.flatMap((option) => ['-o', option])],
  };
}
