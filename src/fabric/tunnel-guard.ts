/**
 * VXLAN does not say who sent it: what comes to a host's port with a VNI of weft's is taken for another host's, and what
 * is in it for sent by a container there. So it must come from an address of another host; and what containers send to
 * such ports is stopped where it starts, for it may leave with their host's address.
 */
import type { NftChain, NftSet } from '../kernel/nft.ts';
import { familyOf } from '../model/address.ts';
import { nftFamilies, perFamily } from './nft-family.ts';
import { isOuter, type Outer } from './outer-packets.ts';

export interface TunnelsView {
  /** Underlay addresses of the other hosts. */
  readonly hosts: readonly string[];
  /** Of what this host has: others' tunnels, Docker's overlay for one, may come to the same port. */
  readonly vnis: readonly number[];
}

/** Links to the other hosts, by name. */
export function uplinkSet(uplinks: readonly string[]): NftSet {
  return { name: 'uplinks', type: ['ifname'], interval: false, elements: uplinks };
}

/** The sets of them, by family, bear these names. */
export const hostSets = ['hosts4', 'hosts6'];

/** Beside `uplinkSet`. */
export function tunnelGuard(
  { hosts, vnis }: TunnelsView,
  outer: Outer,
): { sets: NftSet[]; chains: NftChain[] } {
  const { address, vxlanPort } = outer;
  const own = familyOf(address);
  const comes = isOuter(outer, 'daddr');
  const filter = { type: 'filter', policy: 'accept' } as const;
  return {
    sets: perFamily((family, { type }) => [
      {
        name: `hosts${family}`,
        type: [type],
        interval: false,
        elements: hosts.filter((address) => familyOf(address) === family),
      },
    ]),
    chains: [
      {
        name: 'tunnels',
        // Where tracking is to be kept off them, rather than at the input as well: a chain costs every packet something.
        base: { ...filter, hook: 'prerouting', priority: -300 },
        rules: [
          // Nearly all of them.
          `${comes} meta iifkind != "bridge" ${nftFamilies[own].expression} saddr @hosts${own} notrack accept`,
          `udp dport ${vxlanPort} fib daddr type local jump tunnelsHere`,
          `${comes} notrack`,
        ],
      },
      {
        name: 'tunnelsHere',
        rules: [
          // Behind the UDP header and the first word of VXLAN's (RFC 7348). A first fragment may end before: that goes on.
          `@th,96,24 != { ${vnis.join(', ')} } return`,
          ...perFamily((family, { expression }) => [`${expression} saddr != @hosts${family} drop`]),
          'meta iifkind "bridge" iifname != @uplinks drop',
        ],
      },
      {
        name: 'tunnelsElsewhere',
        base: { ...filter, hook: 'forward', priority: -10 },
        rules: perFamily((family, { expression }) => [
          `udp dport ${vxlanPort} iifname != @uplinks ${expression} daddr @hosts${family} drop`,
        ]),
      },
    ],
  };
}
