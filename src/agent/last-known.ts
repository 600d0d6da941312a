/**
 * What the store held when it was last heard of, on disk: with it a weft that starts while the store is away knows
 * where the others are. It may be a while behind, so nothing is taken out of the kernel because of it.
 */
import type { Mirror } from '../store/mirror.ts';
import type { Ledger } from './ledger.ts';

/** In a large cluster it is many megabytes. */
const paceMs = 5 * 60_000;
const id = 'store';

export interface LastKnown {
  /** Tells the mirror, and whether there was anything to tell. */
  recall(): boolean;
  /** To be called now and then. @throws WeftError `internal` when the disk fails */
  keep(): Promise<void>;
  /** Once more, at the end. Never fails. */
  close(): Promise<void>;
}

export function lastKnownOf({ snapshots }: Pick<Ledger, 'snapshots'>, mirror: Mirror, nowMs: () => number): LastKnown {
  let keptMs: number | undefined;
  let kept = -1n;

  async function write(): Promise<void> {
    if (!mirror.complete || !mirror.connected || mirror.revision === kept) return;
    keptMs = nowMs();
    kept = mirror.revision;
    const entries = Array.from(mirror.entries(''), (entry) => ({ ...entry, revision: String(entry.revision) }));
    await snapshots.put({ id, revision: String(kept), entries });
  }

  return {
    recall() {
      const known = snapshots.get(id);
      if (known === undefined) return false;
      const entries = known.entries.map((entry) => ({ ...entry, revision: BigInt(entry.revision) }));
      mirror.recall(entries, BigInt(known.revision));
      return true;
    },

    async keep() {
      if (keptMs === undefined || Math.abs(nowMs() - keptMs) >= paceMs) await write();
    },

    async close() {
      await write().catch(() => undefined);
    },
  };
}
