/** A clock whose sleepers wake at once, in order of their time: what waits for hours runs in milliseconds. */
import type { Clock } from '../../src/store/clock.ts';

export interface SkippingClock extends Clock {
  /** Every sleep asked for, in milliseconds. */
  readonly slept: readonly number[];
}

/** @param onSleep called before each sleep ends: the place to let something happen "meanwhile". */
export function skippingClock(onSleep: (nowMs: number) => void = () => {}): SkippingClock {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => nowMs,
    sleep: async (durationMs) => {
      nowMs += durationMs;
      slept.push(durationMs);
      onSleep(nowMs);
    },
  };
}
