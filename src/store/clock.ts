/** Time as an argument: what waits or measures is given a clock, so that a test can be the one who moves it. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds; only differences mean anything. Never goes back. */
  now(): number;
  /** Resolves after `durationMs`, or as soon as the signal aborts: the caller looks at the signal. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (durationMs, signal) =>
    delay(durationMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
};
