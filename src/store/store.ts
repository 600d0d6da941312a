/**
 * What weft needs of the store that the hosts share: linearizable reads, transactions with three outcomes,
 * and a watch that loses nothing. Values are text (JSON records, see `model/records.ts`); revisions are the
 * store's own, one growing number for the whole store.
 */

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Revision of the last write of this key. */
  readonly revision: bigint;
}

/** A condition of a transaction; all must hold for the writes to happen. */
export type Condition =
  /** The key was last written at exactly this revision; `0n`: it does not exist. */
  | { readonly key: string; readonly revision: bigint }
  /** The key exists, whatever it holds. */
  | { readonly key: string; readonly exists: true }
  /** No key below the prefix, except this one, exists. */
  | { readonly prefix: string; readonly emptyExcept?: string }
  /** No key below the prefix was created or written after this revision (deletions are not seen). */
  | { readonly prefix: string; readonly unchangedSince: bigint };

export type Write =
  | { readonly put: string; readonly value: string; readonly lease?: Lease }
  | { readonly delete: string }
  | { readonly deletePrefix: string };

export interface Transaction {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

/**
 * `unknown`: the request was sent and the answer lost, so the writes may hold, now or in a moment. The
 * caller settles it by reading back something only its own write can have put there.
 */
export type Outcome =
  | { readonly outcome: 'committed'; readonly revision: bigint }
  | { readonly outcome: 'conflict' }
  | { readonly outcome: 'unknown'; readonly cause: Error };

export type StoreEvent =
  | { readonly type: 'put'; readonly entry: Entry }
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint };

/**
 * What a watch tells, in order. First a snapshot; then events, each batch complete up to its revision; `lost`
 * when the store stops answering. It is back with the next notice, events (perhaps none) or a new snapshot
 * that replaces the old view; nothing is missed either way.
 */
export type Notice =
  | { readonly type: 'snapshot'; readonly entries: readonly Entry[]; readonly revision: bigint }
  | { readonly type: 'events'; readonly events: readonly StoreEvent[]; readonly revision: bigint }
  | { readonly type: 'lost'; readonly cause: Error };

/** Keys put with a lease vanish when its holder has not been heard of for `ttlSeconds`. */
export interface Lease {
  readonly id: string;
}

export interface Store {
  /** @throws WeftError `unavailable` | `denied` | `timeout` */
  get(key: string): Promise<Entry | undefined>;
  /** All keys below the prefix, read in pages at one revision. @throws as `get` */
  list(prefix: string): Promise<{ readonly entries: readonly Entry[]; readonly revision: bigint }>;
  /**
   * Never repeated once it was sent.
   * @throws WeftError when nothing was written: `unavailable` | `denied` | `invalid`; `not-found`: a lease ended
   */
  transact(transaction: Transaction): Promise<Outcome>;
  /**
   * Follows a prefix until the signal aborts; reconnects by itself, for ever.
   * @param before keys that sort from this one on are left out
   */
  watch(prefix: string, signal: AbortSignal, before?: string): AsyncIterable<Notice>;
  /** Grants a lease. @throws as `get` */
  grantLease(ttlSeconds: number): Promise<Lease>;
  /** Extends a lease; false when the store no longer knows it. @throws as `get` */
  renewLease(lease: Lease): Promise<boolean>;
  close(): Promise<void>;
}

/** The same store, with another way for transactions. */
export function withTransact(store: Store, transact: Store['transact']): Store {
  return {
    get: (key) => store.get(key),
    list: (prefix) => store.list(prefix),
    watch: (prefix, signal, before) => store.watch(prefix, signal, before),
    grantLease: (ttlSeconds) => store.grantLease(ttlSeconds),
    renewLease: (lease) => store.renewLease(lease),
    close: () => store.close(),
    transact,
  };
}
