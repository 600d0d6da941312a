/**
 * Tells the other hosts that this one is alive: keeps a lease, and under it whatever `announce` puts.
 *
 * Whether the store still holds the lease is judged by our own clock, from the moment the last renewal that
 * was acknowledged had been sent: the store may have ended it ever since that moment plus its time to live.
 * A lease that ended takes its keys along; a new one is granted and `announce` puts them again. Nothing else
 * follows from it: containers and their addresses outlive a store that is away.
 */
import { WeftError } from '../errors.ts';
import { backOff } from './back-off.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Lease, Store } from './store.ts';

export interface PresenceOptions {
  readonly ttlSeconds: number;
  /** Puts all keys that shall vanish with this host. Called for each new lease, until it succeeds. */
  readonly announce: (lease: Lease) => Promise<void>;
  /** Called with each failure to grant, announce or renew; all are tried again. */
  readonly onFailure?: (error: unknown) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** `suspect`: announced, but near the end of the lease or beyond it; other hosts may count us as gone. */
export type PresenceState = 'absent' | 'present' | 'suspect';

/** Share of the time to live after which a lease that is not renewed counts as suspect. */
const suspectAfter = 0.75;

export class Presence {
  readonly #store: Pick<Store, 'grantLease' | 'renewLease'>;
  readonly #options: PresenceOptions;
  readonly #clock: Clock;
  #lease: Lease | undefined;
  #announced = false;
  #acknowledgedMs = 0;

  constructor(store: Pick<Store, 'grantLease' | 'renewLease'>, options: PresenceOptions) {
    this.#store = store;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get state(): PresenceState {
    if (!this.#announced) return 'absent';
    const ageMs = this.#clock.now() - this.#acknowledgedMs;
    return ageMs < this.#options.ttlSeconds * 1000 * suspectAfter ? 'present' : 'suspect';
  }

  /** Keeps it up until the signal aborts. The lease then runs out by itself. */
  async run(signal: AbortSignal): Promise<void> {
    const { ttlSeconds, onFailure, random = Math.random } = this.#options;
    const renewMs = (ttlSeconds * 1000) / 3;
    const pause = backOff(200, renewMs / 2, random);
    while (!signal.aborted) {
      try {
        await this.#hold();
        pause.reset();
        await this.#clock.sleep(renewMs, signal);
      } catch (error) {
        onFailure?.(error);
        await this.#clock.sleep(pause.next(), signal);
      }
    }
  }

  /** Renews the lease, or grants one and announces it. */
  async #hold(): Promise<void> {
    const sentMs = this.#clock.now();
    if (this.#lease !== undefined && !(await this.#store.renewLease(this.#lease))) this.#forget();
    this.#lease ??= await this.#store.grantLease(this.#options.ttlSeconds);
    this.#acknowledgedMs = sentMs;
    if (this.#announced) return;
    try {
      await this.#options.announce(this.#lease);
      this.#announced = true;
    } catch (error) {
      if (error instanceof WeftError && error.code === 'not-found') this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#lease = undefined;
    this.#announced = false;
  }
}
