/** What the wires between the hosts are like: it decides more than how containers hang on them. */
export interface Condition {
  readonly name: string;
  readonly title: string;
  readonly mtu: number;
  /** Whether the links cut large packets up by themselves when these are encapsulated; many virtual NICs do not. */
  readonly tunnelOffload: boolean;
  /** Whether it is part of a quick run too. */
  readonly quick: boolean;
}

/** The MTU tells only where packets are cut up before the link: a veth with all offloads carries 64 KiB as they are. */
export const conditions: readonly Condition[] = [
  { name: 'offload', title: 'MTU 1500', mtu: 1500, tunnelOffload: true, quick: true },
  { name: 'no-offload', title: 'MTU 1500, no tunnel offload', mtu: 1500, tunnelOffload: false, quick: true },
  { name: 'jumbo', title: 'MTU 9000', mtu: 9000, tunnelOffload: true, quick: false },
  {
    name: 'jumbo-no-offload',
    title: 'MTU 9000, no tunnel offload',
    mtu: 9000,
    tunnelOffload: false,
    quick: true,
  },
];
