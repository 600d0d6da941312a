/** Under what allocations are measured: how many hosts share a subnet, and how full it is. */
export interface Condition {
  readonly name: string;
  readonly hosts: number;
  readonly subnet: string;
  /** Addresses in use before the first is allocated. */
  readonly used: number;
}

const fills = [
  { fill: '/16, 1 %', subnet: '10.77.0.0/16', used: 655 },
  { fill: '/16, 50 %', subnet: '10.77.0.0/16', used: 32_768 },
  { fill: '/16, 99 %', subnet: '10.77.0.0/16', used: 64_880 },
  { fill: '/8, 100,000', subnet: '10.0.0.0/8', used: 100_000 },
];

export const hostCounts = [1, 3, 20];

export const conditions: readonly Condition[] = hostCounts.flatMap((hosts) =>
  fills.map(({ fill, subnet, used }) => ({ name: `${hosts} x ${fill}`, hosts, subnet, used })),
);

/** For the same hosts, the emptiest and the fullest. */
export function extremes(hosts: number): { readonly emptiest: string; readonly fullest: string } {
  return { emptiest: `${hosts} x /16, 1 %`, fullest: `${hosts} x /16, 99 %` };
}
