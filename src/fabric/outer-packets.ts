/**
 * The packets around those that VXLAN carries, of both fabrics. To the kernel each stream of them is a connection that
 * is never answered: a host answers from another port. Tracking them gains nobody anything, and costs a tenth of the
 * packets per second and an entry for every stream of the containers.
 */
import type { NftChain } from '../kernel/nft.ts';
import { familyOf } from '../model/address.ts';
import type { Underlay } from './fabric.ts';
import { nftFamilies } from './nft-family.ts';

export type Outer = Pick<Underlay, 'address' | 'vxlanPort'>;

/** Those of this host alone: what it passes on for others may be translated, which tracking is for. */
export function isOuter({ address, vxlanPort }: Outer, end: 'saddr' | 'daddr'): string {
  const { expression } = nftFamilies[familyOf(address)];
  return `${expression} ${end} ${address} udp dport ${vxlanPort}`;
}

/** Of what comes, `tunnelGuard` sees to it. */
export function outerPackets(outer: Outer): NftChain {
  return {
    name: 'outerOut',
    base: { type: 'filter', hook: 'output', priority: -300, policy: 'accept' },
    rules: [`${isOuter(outer, 'saddr')} notrack`],
  };
}
