/** How this host deals with a store that may be away. */
import { explain, WeftError } from '../errors.ts';
import type { Log } from '../log.ts';

export interface Dealings {
  /**
   * Resolves when what the cluster holds is known here.
   * @throws WeftError `unavailable` when the store stays away for longer than Docker should wait
   */
  ready(): Promise<void>;
  /**
   * With the store; or without, if that can be done, while it is away or does not answer.
   * @param without undefined: it cannot be done
   * @throws what `withStore` throws, or as `ready`
   */
  eitherWay<T>(withStore: () => Promise<T>, without: () => Promise<T | undefined>): Promise<T>;
  /**
   * Takes something away in the store, now or later; never fails.
   * @param meanwhile what can be done of it while the store is away
   */
  giveBack(what: string, task: () => Promise<void>, meanwhile?: () => Promise<void>): Promise<void>;
}

export function dealingsWith(of: {
  /** Whether what is done in the store is this host's, and can be. */
  readonly connected: () => boolean;
  readonly ready: () => Promise<void>;
  /** It did not answer when it was last asked; while it has not been yet, a call waits. */
  readonly isAway: () => boolean;
  /** Whether another machine has this one's id: then it has what this one's ledger holds, too. */
  readonly isCopied: () => boolean;
  readonly log: Log;
}): Dealings {
  const { connected, ready, isAway, isCopied, log } = of;

  return {
    ready,

    async eitherWay(withStore, without) {
      if (isAway() && !isCopied()) {
        const done = await without();
        if (done !== undefined) return done;
      }
      try {
        await ready();
        return await withStore();
      } catch (error) {
        // The settlement makes up for what may have come of it all the same.
        const done = isOfStore(error) && !isCopied() ? await without() : undefined;
        if (done === undefined) throw error;
        return done;
      }
    },

    /** Docker would only log a failure; the settlement makes up for it. */
    async giveBack(what, task, meanwhile = async () => {}) {
      try {
        if (connected()) return await task();
        log.warn({ what }, 'will be given back when this host takes part again');
        if (!isCopied()) await meanwhile();
      } catch (error) {
        log.warn({ what, reason: explain(error) }, 'will be given back later');
      }
    },
  };
}

/** Not because of what was asked of it. */
function isOfStore(error: unknown): boolean {
  if (!(error instanceof WeftError)) return false;
  return ['unavailable', 'unknown-outcome', 'timeout', 'denied'].includes(error.code);
}
