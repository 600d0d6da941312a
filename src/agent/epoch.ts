/**
 * Which life of the store this is. What was in the store and is not there any more, somebody has taken away, or the store
 * has lost, and the one must not be taken for the other. So the store bears the name of an epoch: a store that was wiped
 * bears none, and one that was restored from a backup an old one. Whoever finds that out gives it another. Within
 * one epoch, then, what is missing was taken away.
 */
import type { Keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import type { Cluster } from './cluster.ts';

export interface EpochParts {
  readonly store: Store;
  readonly keys: Keys;
  readonly cluster: Cluster;
  /** The last one of which this host has told the store all it holds; undefined: of none yet. */
  readonly last: string | undefined;
  /** Never the same twice in the cluster. */
  readonly newId: () => string;
}

export interface Epoch {
  /** Undefined while the store has none, or one that is over. */
  current(): string | undefined;
  /**
   * To be called with what the store answers now; `wentBack`: its revision is less than it was.
   * @returns whether another epoch has come, or the one there was is over
   */
  hasTurned(wentBack: boolean): boolean;
  /** Has the store bear one; several hosts may try at once. @throws WeftError when the store is away */
  begin(): Promise<void>;
}

export function epochOf({ store, keys, cluster, last, newId }: EpochParts): Epoch {
  let known = last;
  /** A store that was restored from a backup still has it. */
  let over: string | undefined;

  function current(): string | undefined {
    const epoch = cluster.epoch();
    return epoch === over ? undefined : epoch;
  }

  return {
    current,

    hasTurned(wentBack) {
      const before = known;
      if (wentBack && before !== undefined) over = before;
      known = current();
      return before !== undefined && known !== before;
    },

    async begin() {
      if (current() !== undefined) return;
      const revision = cluster.revisionOf(keys.epoch);
      await store.transact({
        conditions: [{ key: keys.epoch, revision }],
        writes: [{ put: keys.epoch, value: newId() }],
      });
    },
  };
}
