/**
 * What keeps networks apart that share the host's routing: weft's own nft table. Two sets, whatever the
 * number of networks and endpoints: the subnets there are, and the pairs between which packets may pass.
 */
import type { NftSet, NftTable } from '../kernel/nft.ts';
import { type Family, parsePrefix } from '../model/address.ts';
import type { Network } from '../model/records.ts';

/** How nft names a family's things. */
const nftFamily = {
  4: { type: 'ipv4_addr', expression: 'ip', reject: 'icmp' },
  6: { type: 'ipv6_addr', expression: 'ip6', reject: 'icmpv6' },
} as const satisfies Record<Family, object>;

/** @param networks those of fabrics without a namespace of their own */
export function isolationTable(networks: readonly Network[]): NftTable {
  const sets: NftSet[] = [];
  const rules: string[] = [];
  for (const family of [4, 6] as const) {
    const { type, expression, reject } = nftFamily[family];
    const ofFamily = (cidr: string) => parsePrefix(cidr).family === family;
    const pools = networks.flatMap((network) => network.pools).filter(ofFamily);
    const pairs = networks.flatMap((network) => {
      const own = network.pools.filter(ofFamily);
      return own.flatMap((from) => own.map((to) => `${from} . ${to}`));
    });
    sets.push(
      { name: `pools${family}`, type: [type], interval: true, elements: pools },
      { name: `within${family}`, type: [type, type], interval: true, elements: pairs },
    );
    const [saddr, daddr] = [`${expression} saddr`, `${expression} daddr`];
    rules.push(
      // The way out that Docker gives every container must not be a way round into another network.
      `iifname "docker_gwbridge" ${daddr} @pools${family} reject with ${reject} type admin-prohibited`,
      `${saddr} @pools${family} ${daddr} @pools${family} ${saddr} . ${daddr} != @within${family} ` +
        `reject with ${reject} type admin-prohibited`,
    );
  }
  return {
    family: 'inet',
    name: 'weft',
    sets,
    chains: [
      { name: 'forward', base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' }, rules },
    ],
  };
}
