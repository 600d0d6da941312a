/**
 * The blocks of this host's, as it has read or written them last. Nobody tells it what is written to a block, and the
 * owner needs nobody to: what it writes itself it knows, and with what another host writes comes a new claim
 * (`model/block-record.ts`), which is watched. So what is known of a block counts until its claim is newer, or all that
 * is watched was told anew, since then the store may have another history. Of other hosts' blocks nothing is kept.
 *
 * A transaction whose answer was lost may take effect at any time, and no claim tells of it. So of its block nothing is
 * known until it is excluded: it was sent again and met a conflict, or a later one of this host's has taken effect.
 * What a weft that was killed has left under way is found when what is known here has grown old.
 */
import { records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import { type Entry, type Store, type Transaction, type Write, withTransact } from '../store/store.ts';
import { longAgo } from './block.ts';

const oldAfterMs = 10 * 60_000;

interface Known {
  readonly entry: Entry;
  /** By this host's clock. */
  readonly sinceMs: number;
  /** Of the mirror, when it was learnt. */
  readonly snapshots: number;
}

export class BlockCache {
  readonly #keys: Keys;
  readonly #hostId: string;
  readonly #mirror: Mirror;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  /** By the keys of blocks: transactions of this host's that may yet take effect. */
  readonly #doubtful = new Map<string, Transaction>();

  constructor(of: {
    readonly keys: Keys;
    readonly hostId: string;
    readonly mirror: Mirror;
    /** Milliseconds since 1970. */
    readonly now: () => number;
  }) {
    this.#now = of.now;
    this.#keys = of.keys;
    this.#hostId = of.hostId;
    this.#mirror = of.mirror;
  }

  /** Undefined: what is known of the block may be old, or nothing is. @param claim the block's, as it is known */
  get(key: string, claim: Entry): Entry | undefined {
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    const { entry, sinceMs, snapshots } = known;
    const isOfNow = snapshots === this.#mirror.snapshots && entry.revision >= claim.revision;
    if (isOfNow && !longAgo(this.#now(), oldAfterMs)(sinceMs)) return entry;
    this.#known.delete(key);
    return undefined;
  }

  /** Takes what the store was found to hold; what is no block of this host's is left out. */
  take(entry: Entry): void {
    const { key, value, revision } = entry;
    if (!key.startsWith(this.#keys.allBlocks) || this.#doubtful.has(key)) return;
    const { snapshots } = this.#mirror;
    const known = this.#known.get(key);
    if (known?.snapshots === snapshots && known.entry.revision > revision) return;
    const isOwn = records.block.read(value)?.owner === this.#hostId;
    if (isOwn) this.#known.set(key, { entry, sinceMs: this.#now(), snapshots });
    else this.#known.delete(key);
  }

  /** The same store, whose commits are known as soon as they are answered. */
  knowing(store: Store): Store {
    return withTransact(store, async (transaction) => {
      const outcome = await store.transact(transaction);
      switch (outcome.outcome) {
        case 'committed':
          for (const write of transaction.writes) this.#takeOwn(write, outcome.revision);
          break;
        case 'conflict':
          for (const [key, other] of this.#doubtful) if (other === transaction) this.#doubtful.delete(key);
          break;
        case 'unknown':
          this.#doubt(transaction);
      }
      return outcome;
    });
  }

  #takeOwn(write: Write, revision: bigint): void {
    if ('put' in write) {
      this.#doubtful.delete(write.put);
      this.take({ key: write.put, value: write.value, revision });
      return;
    }
    const prefix = 'delete' in write ? write.delete : write.deletePrefix;
    for (const known of [this.#known, this.#doubtful]) {
      for (const key of known.keys()) if (key.startsWith(prefix)) known.delete(key);
    }
  }

  /** With a block that is deleted goes its claim, which is told. */
  #doubt(transaction: Transaction): void {
    for (const write of transaction.writes) {
      if (!('put' in write) || !write.put.startsWith(this.#keys.allBlocks)) continue;
      this.#known.delete(write.put);
      this.#doubtful.set(write.put, transaction);
    }
  }
}
