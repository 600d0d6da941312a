/**
 * Ways in and out of containers that have no leg of Docker's: the way out is masqueraded, and published ports of the
 * host lead to ports of containers. Maps, whatever the number of ports.
 */
import type { NftChain, NftElements, NftSet } from '../kernel/nft.ts';
import { familyOf } from '../model/address.ts';
import { nftFamilies, perFamily } from './nft-family.ts';

/** A port of the host, and where it leads. */
export interface Publication {
  /** By IP's number: TCP 6, UDP 17, SCTP 132. */
  readonly protocol: number;
  /** Absent: every address that the host has. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  /** The container's. */
  readonly address: string;
  readonly port: number;
}

export interface PublicationView {
  readonly publications: readonly Publication[];
  /** Prefixes from which this host is the way out. */
  readonly sources: readonly string[];
}

/** What must be in the maps for a packet to the port to find the container. */
export function publicationElements(publications: readonly Publication[]): NftElements[] {
  return mapsOf(publications).filter(({ elements }) => elements.length > 0);
}

export function waysInAndOut(view: PublicationView): { sets: NftSet[]; chains: NftChain[] } {
  const sources = perFamily((family, { type }) => {
    const elements = view.sources.filter((cidr) => familyOf(cidr) === family);
    return [{ name: `egress${family}`, type: [type], interval: true, elements }];
  });
  const { sets, chains } = redirection(view.publications);
  return {
    sets: [...sources, ...sets],
    chains: [
      ...chains,
      natChain('wayOut', 'postrouting', 100, [
        ...perFamily((family, { expression, loopback }) => [
          // A container that reaches one by a port of a host, whoever leads it there, must be answered by that host: on
          // the way from one to the other, or by the shortcut, nobody would know of the translation.
          `ct status dnat ${expression} saddr @pools${family} ${expression} daddr @pools${family} masquerade`,
          `ct status dnat ${expression} saddr ${loopback} oifname "weft*" masquerade`,
          `${expression} saddr @egress${family} ${expression} daddr != @pools${family} oifname != "weft*" masquerade`,
        ]),
      ]),
    ],
  };
}

/** Ports of the namespace's own addresses lead to containers. */
export function redirection(publications: readonly Publication[]): { sets: NftSet[]; chains: NftChain[] } {
  const rules = perFamily((family, { expression }) => {
    // nft knows a port only where it knows the protocol to have some.
    const toHost = `meta nfproto ipv${family} fib daddr type local meta l4proto { 6, 17, 132 } dnat ${expression} to`;
    return [
      `${toHost} ${expression} daddr . meta l4proto . th dport map @publishedAt${family}`,
      `${toHost} meta l4proto . th dport map @published${family}`,
    ];
  });
  return {
    sets: mapsOf(publications).map(({ set, elements }) => ({ ...set, interval: false, elements })),
    chains: [
      natChain('published', 'prerouting', -100, rules),
      // What the namespace itself sends does not come in.
      natChain('publishedOwn', 'output', -100, rules),
    ],
  };
}

function natChain(
  name: string,
  hook: 'prerouting' | 'output' | 'postrouting',
  priority: number,
  rules: readonly string[],
): NftChain {
  return { name, base: { type: 'nat', hook, priority, policy: 'accept' }, rules };
}

function mapsOf(publications: readonly Publication[]) {
  return perFamily((family) => {
    const ofFamily = publications.filter(({ address }) => familyOf(address) === family);
    const [{ type }, port] = [nftFamilies[family], ['inet_proto', 'inet_service']];
    const data = [type, 'inet_service'];
    return [
      {
        set: { name: `published${family}`, type: port, data },
        elements: ofFamily.flatMap((one) => (one.hostAddress === undefined ? [elementOf(one)] : [])),
      },
      {
        set: { name: `publishedAt${family}`, type: [type, ...port], data },
        elements: ofFamily.flatMap((one) => (one.hostAddress === undefined ? [] : [elementOf(one)])),
      },
    ];
  });
}

function elementOf({ protocol, hostAddress, hostPort, address, port }: Publication): string {
  const at = hostAddress === undefined ? '' : `${hostAddress} . `;
  return `${at}${protocol} . ${hostPort} : ${address} . ${port}`;
}
