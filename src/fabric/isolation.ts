/**
 * What keeps networks apart that share the host's routing. A handful of sets and rules, whatever the number of
 * networks and endpoints.
 */
import type { NftChain, NftSet } from '../kernel/nft.ts';
import { familyOf } from '../model/address.ts';
import type { Network } from '../model/records.ts';
import { perFamily } from './nft-family.ts';

export interface IsolationView {
  /**
   * All of the cluster whose subnets the hosts route, also those that are not here: what is not to reach them is
   * stopped where it starts.
   */
  readonly networks: readonly Network[];
  /** Prefixes by which this host knows segments. */
  readonly segments: readonly string[];
}

/** Beside `uplinkSet`. */
export function isolation({ networks, segments }: IsolationView): {
  sets: NftSet[];
  chain: NftChain;
} {
  const rules: string[] = [
    // Replies flow, wherever the first packet was let through.
    'ct state established,related accept',
    // Whoever published a port meant everybody to reach it.
    'ct status dnat accept',
  ];
  const sets: NftSet[] = perFamily((family, { type }) => {
    const ofFamily = (cidr: string) => familyOf(cidr) === family;
    const poolsOf = ({ pools }: Network) => pools.filter(ofFamily);
    const subnets = (name: string, members: readonly Network[]) => ({
      name: `${name}${family}`,
      type: [type],
      interval: true,
      elements: members.flatMap(poolsOf),
    });
    const pools = subnets('pools', networks);
    const pairs = networks.flatMap((network) => {
      const own = poolsOf(network);
      return own.flatMap((from) => own.map((to) => `${from} . ${to}`));
    });
    return [
      { ...pools, elements: [...pools.elements, ...segments.filter(ofFamily)] },
      subnets(
        'internal',
        networks.filter(({ internal }) => internal),
      ),
      subnets(
        'open',
        networks.filter(({ isolate }) => isolate === false),
      ),
      { name: `within${family}`, type: [type, type], interval: true, elements: pairs },
    ];
  });
  rules.push(
    ...perFamily((family, { expression, reject }) => {
      const [saddr, daddr] = [`${expression} saddr`, `${expression} daddr`];
      const refuse = `reject with ${reject} type admin-prohibited`;
      return [
        // Other local networks, among them the way out that Docker gives every container: not a way round into weft's.
        `meta iifkind "bridge" iifname != @uplinks ${daddr} @pools${family} ${refuse}`,
        `${saddr} . ${daddr} @within${family} accept`,
        `${saddr} @internal${family} ${refuse}`,
        `${daddr} @internal${family} ${refuse}`,
        `${saddr} @open${family} ${daddr} @open${family} accept`,
        `${saddr} @pools${family} ${daddr} @pools${family} ${refuse}`,
      ];
    }),
  );
  return {
    sets,
    chain: {
      name: 'forward',
      base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' },
      rules,
    },
  };
}
