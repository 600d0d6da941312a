/** What can happen to hosts that share a subnet, and how often it is drawn. */
import fc from 'fast-check';

/** Hosts are counted; `nth` is counted around among what there is. */
export type Step =
  | { readonly do: 'start'; readonly host: number; readonly hesitation: number }
  | { readonly do: 'start by name'; readonly host: number; readonly nth: number; readonly hesitation: number }
  | { readonly do: 'ask and forget'; readonly host: number; readonly nth: number; readonly byName: boolean }
  | { readonly do: 'stop'; readonly host: number; readonly nth: number }
  | { readonly do: 'release again'; readonly host: number; readonly nth: number }
  | { readonly do: 'create network'; readonly host: number }
  | { readonly do: 'remove network'; readonly host: number }
  /** All hosts look for what is held for nobody, so many times in so many minutes each. */
  | { readonly do: 'pass time'; readonly looks: number; readonly minutes: number }
  | { readonly do: 'set clock'; readonly host: number; readonly minutes: number }
  | {
      readonly do: 'kill weft';
      readonly host: number;
      readonly step: number;
      readonly when: 'before' | 'after';
    }
  | { readonly do: 'cut power'; readonly host: number; readonly keepsEndpoints: boolean }
  /** The others do not hear of it any more, though it may be well. */
  | { readonly do: 'fall silent'; readonly host: number }
  | { readonly do: 'cut' | 'stall' | 'delay news'; readonly host: number }
  | { readonly do: 'lose requests' | 'lose answers'; readonly host: number; readonly count: number }
  | { readonly do: 'mend'; readonly host: number; readonly arrives: boolean }
  /** Nobody reaches the store for so many steps of others. */
  | { readonly do: 'store outage'; readonly steps: number; readonly arrives: boolean }
  | { readonly do: 'forget history' }
  /** As a host does that has to do with an address of another's block: whoever has read it is behind. */
  | { readonly do: 'touch blocks' };

/** A step, and how many steps of others go before it. */
export interface Timed {
  readonly after: number;
  readonly step: Step;
}

export interface Play {
  readonly subnet: string;
  readonly hosts: number;
  readonly withGateway: boolean;
  /** Of all that is chosen at random while it goes on. */
  readonly seed: number;
  /** What is in one list happens at the same time. */
  readonly rounds: readonly (readonly Timed[])[];
}

/** From more than can be claimed to less than is needed. */
const subnets = [
  ...['10.0.0.0/8', '10.77.0.0/16', '10.77.0.0/24', '10.77.0.0/28', '10.77.0.0/29', '10.77.0.0/30'],
  ...['10.77.0.0/31', '10.77.0.0/32', 'fd00::/48', 'fd00::/120', 'fd00::/127'],
];

const steps = fc.nat({ max: 40 });
/** Between two steps of one start: sometimes long enough for others to look twice for what is held for nobody. */
const hesitation = fc.oneof(steps, fc.nat({ max: 1_000 }));
const nth = fc.nat({ max: 200 });

function stepOf(hosts: number): fc.Arbitrary<Step> {
  const host = fc.nat({ max: hosts - 1 });
  const count = fc.integer({ min: 1, max: 3 });
  const of = <D extends Step['do']>(name: D) => fc.constant(name);
  return fc.oneof(
    { weight: 20, arbitrary: fc.record({ do: of('start'), host, hesitation }) },
    { weight: 8, arbitrary: fc.record({ do: of('start by name'), host, nth, hesitation }) },
    { weight: 3, arbitrary: fc.record({ do: of('ask and forget'), host, nth, byName: fc.boolean() }) },
    { weight: 16, arbitrary: fc.record({ do: of('stop'), host, nth }) },
    { weight: 2, arbitrary: fc.record({ do: of('release again'), host, nth }) },
    { weight: 2, arbitrary: fc.record({ do: of('create network'), host }) },
    { weight: 1, arbitrary: fc.record({ do: of('remove network'), host }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: of('pass time'),
        looks: fc.integer({ min: 1, max: 5 }),
        minutes: fc.integer({ min: 1, max: 7 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: of('set clock'), host, minutes: fc.integer({ min: -30, max: 1500 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: of('kill weft'),
        host,
        step: fc.integer({ min: 1, max: 12 }),
        when: fc.constantFrom('before' as const, 'after' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: of('cut power'), host, keepsEndpoints: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: of('fall silent'), host }) },
    { weight: 2, arbitrary: fc.record({ do: of('cut'), host }) },
    { weight: 2, arbitrary: fc.record({ do: of('stall'), host }) },
    { weight: 2, arbitrary: fc.record({ do: of('delay news'), host }) },
    { weight: 3, arbitrary: fc.record({ do: of('lose requests'), host, count }) },
    { weight: 4, arbitrary: fc.record({ do: of('lose answers'), host, count }) },
    { weight: 9, arbitrary: fc.record({ do: of('mend'), host, arrives: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: of('store outage'), steps, arrives: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: of('forget history') }) },
    { weight: 2, arbitrary: fc.record({ do: of('touch blocks') }) },
  );
}

/** @param rounds at most so many */
export function plays(rounds: number): fc.Arbitrary<Play> {
  return fc.integer({ min: 2, max: 4 }).chain((hosts) => {
    const timed = fc.record({ after: steps, step: stepOf(hosts) });
    return fc.record({
      subnet: fc.constantFrom(...subnets),
      hosts: fc.constant(hosts),
      withGateway: fc.boolean(),
      seed: fc.nat(),
      // The size is asked for, or most plays would be a few steps long.
      rounds: fc.array(fc.array(timed, { minLength: 1, maxLength: 8 }), { maxLength: rounds, size: 'max' }),
    });
  });
}
