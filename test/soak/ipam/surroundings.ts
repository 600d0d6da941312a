/** What a play runs on: the store that the hosts share, and their lines to it. */

import type { Clock } from '../../../src/store/clock.ts';
import type { Store } from '../../../src/store/store.ts';
import { skippingClock } from '../../fakes/clock.ts';
import { FakeLine } from '../../fakes/line.ts';
import { FakeStore } from '../../fakes/store.ts';

/** A host's line to the store, and what can become of it. */
export interface Line {
  readonly store: Store;
  /** Nothing gets through, and who sends knows it. */
  cut(): Promise<void>;
  /** Nothing gets through, and who sends does not know whether it did. */
  stall(): Promise<void>;
  /** What is asked is answered; what happens is told later. */
  delayNews(): Promise<void>;
  /** The next transactions do not arrive, and who sent them does not know. */
  loseRequests(count: number): Promise<void>;
  /** The next transactions take effect, and who sent them does not know. */
  loseAnswers(count: number): Promise<void>;
  /** After any of these. @param arrives whether what was sent on a stalled line gets there now, or never */
  mend(arrives: boolean): Promise<void>;
}

export interface Surroundings {
  /** The store itself, whatever has become of the hosts' lines. */
  readonly store: Store;
  /** Of weft's in it. */
  readonly root: string;
  line(): Promise<Line>;
  /** One for each host. */
  clock(): Clock;
  /** Lets others do that many steps, more or less. */
  pause(steps: number): Promise<void>;
  /** The store forgets what has happened so far: a watch that has missed some needs a new snapshot. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** Neither waits nor writes: what happens depends on nothing but the play. */
export function inMemory(): Surroundings {
  const store = new FakeStore();
  return {
    store,
    root: '/weft/v1/',
    async line() {
      const line = new FakeLine(store);
      return {
        store: line,
        cut: async () => line.cut(),
        stall: async () => line.stall(),
        delayNews: async () => line.delayNews(),
        loseRequests: async (count) => line.loseRequests(count),
        loseAnswers: async (count) => line.loseAnswers(count),
        mend: async (arrives) => line.mend(arrives),
      };
    },
    clock: skippingClock,
    async pause(steps) {
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
    },
    compact: async () => store.compact(),
    close: async () => {},
  };
}
