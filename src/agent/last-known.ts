/**
 * What the store held when it was last heard of, on disk: with it a weft that starts while the store is away knows
 * where the others are. It may be a while behind, so nothing is taken out of the kernel because of it.
 */
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Ledger } from './ledger.ts';

/** In a large cluster it is many megabytes, of tens of thousands of entries: the more there are, the more rarely. */
const paceMsPerEntry = 10;
const id = 'store';

export interface LastKnown {
  /** Tells the mirror, where it knows nothing. @returns whether there was anything to tell */
  recall(): boolean;
  /** Whether that is all that the mirror knows. */
  readonly isInUse: boolean;
  /** To be called now and then; returns at once. */
  keep(): void;
  /** Once more, at the end. */
  close(): Promise<void>;
}

export function lastKnownOf(of: {
  readonly ledger: Pick<Ledger, 'snapshots'>;
  readonly mirror: Mirror;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
  readonly log: Log;
}): LastKnown {
  const { mirror, nowMs, log } = of;
  const { snapshots } = of.ledger;
  let isRecalled = false;
  let nextMs = 0;
  let kept = -1n;

  async function write(): Promise<void> {
    if (!mirror.complete || !mirror.connected || mirror.revision === kept) return;
    kept = mirror.revision;
    const entries = Array.from(mirror.entries(''), (entry) => ({
      ...entry,
      revision: String(entry.revision),
    }));
    nextMs = nowMs() + entries.length * paceMsPerEntry;
    try {
      await snapshots.put({ id, revision: String(kept), entries });
    } catch (error) {
      log.warn({ reason: explain(error) }, 'cannot keep what is known of the cluster');
    }
  }

  return {
    recall() {
      const known = snapshots.get(id);
      if (known === undefined || mirror.complete) return false;
      isRecalled = true;
      const entries = known.entries.map((entry) => ({ ...entry, revision: BigInt(entry.revision) }));
      mirror.recall(entries, BigInt(known.revision));
      return true;
    },

    get isInUse() {
      isRecalled &&= !mirror.connected;
      return isRecalled;
    },

    keep() {
      if (nowMs() >= nextMs) void write();
    },

    close: write,
  };
}
