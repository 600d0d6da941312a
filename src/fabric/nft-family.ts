/** How nft names the things of a family. */
import type { Family } from '../model/address.ts';

export const nftFamilies = {
  4: { type: 'ipv4_addr', expression: 'ip', reject: 'icmp', loopback: '127.0.0.0/8' },
  6: { type: 'ipv6_addr', expression: 'ip6', reject: 'icmpv6', loopback: '::1/128' },
} as const satisfies Record<Family, object>;

export type NftFamily = (typeof nftFamilies)[Family];

export function perFamily<T>(render: (family: Family, words: NftFamily) => readonly T[]): T[] {
  return ([4, 6] as const).flatMap((family) => render(family, nftFamilies[family]));
}
