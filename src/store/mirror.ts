/**
 * The local copy of a watched prefix. It is fed from two sides, by the watch and by this host's own commits
 * (which are to be seen at once, not when the watch comes round to them), and news from either side can
 * overtake the other. One rule keeps it right: of a key, only the newest revision counts.
 *
 * A deletion leaves nothing behind that has a revision, so our own deletions are remembered as graves until
 * the watch has passed them: until then it may still tell of older writes of the same key.
 */
import { KeyTree } from './key-tree.ts';
import { type Entry, type Notice, type Store, type StoreEvent, type Write, withTransact } from './store.ts';

interface Grave {
  readonly covers: (key: string) => boolean;
  readonly revision: bigint;
}

export class Mirror {
  readonly prefix: string;
  readonly #before: string | undefined;
  readonly #onChange: (keys: readonly string[]) => void;
  readonly #entries = new KeyTree<Entry>();
  #graves: readonly Grave[] = [];
  #revision = 0n;
  #snapshots = 0;
  #complete = false;
  #connected = false;

  /**
   * @param onChange called with the keys that were put or deleted; with none when only `complete` or
   *   `connected` changed.
   * @param before keys that sort from this one on are left out, as by the watch
   */
  constructor(prefix: string, onChange: (keys: readonly string[]) => void = () => {}, before?: string) {
    this.prefix = prefix;
    this.#before = before;
    this.#onChange = onChange;
  }

  /** Everything up to this revision of the store is in. */
  get revision(): bigint {
    return this.#revision;
  }

  /** How often everything was told anew: what was learnt of the store before may be of another history of it. */
  get snapshots(): number {
    return this.#snapshots;
  }

  /** A snapshot has been seen; before that, what is not here may well be in the store. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The store answers; otherwise this is what it held at `revision`. */
  get connected(): boolean {
    return this.#connected;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** In no particular order. */
  entries(prefix: string): Iterable<Entry> {
    return this.#entries.below(prefix);
  }

  /** Takes what the watch of the prefix tells, in its order. */
  apply(notice: Notice): void {
    const before = { complete: this.#complete, connected: this.#connected };
    const changed = new Set<string>();
    switch (notice.type) {
      case 'snapshot':
        this.#snapshots += 1;
        this.#replace(notice.entries, notice.revision, changed);
        this.#complete = true;
        this.#connected = true;
        break;
      case 'events':
        for (const event of notice.events) this.#take(event, changed);
        this.#pass(notice.revision);
        this.#connected = true;
        break;
      case 'lost':
        this.#connected = false;
        break;
    }
    const turned = before.complete !== this.#complete || before.connected !== this.#connected;
    if (changed.size > 0 || turned) this.#onChange([...changed]);
  }

  /** Takes what the store held once, before it has told anything itself; that does not mean that it answers. */
  recall(entries: readonly Entry[], revision: bigint): void {
    if (this.#complete) return;
    const changed = new Set<string>();
    this.#replace(entries, revision, changed);
    this.#complete = true;
    this.#onChange([...changed]);
  }

  /** Takes what this host has committed at a revision, in any order. Keys that are not watched are left out. */
  commit(writes: readonly Write[], revision: bigint): void {
    if (revision <= this.#revision) return;
    const changed = new Set<string>();
    for (const write of writes) {
      if ('put' in write) {
        if (!this.#isWatched(write.put)) continue;
        const entry = { key: write.put, value: write.value, revision };
        this.#take({ type: 'put', entry }, changed);
      } else {
        const covers = (key: string) =>
          'delete' in write ? key === write.delete : key.startsWith(write.deletePrefix);
        this.#graves = [...this.#graves, { covers, revision }];
        const doomed = 'delete' in write ? [write.delete] : this.#keysBelow(write.deletePrefix);
        for (const key of doomed) this.#take({ type: 'delete', key, revision }, changed);
      }
    }
    if (changed.size > 0) this.#onChange([...changed]);
  }

  #take(event: StoreEvent, changed: Set<string>): void {
    const { key, revision } = event.type === 'put' ? event.entry : event;
    const known = this.#entries.get(key);
    if (known !== undefined && known.revision >= revision) return;
    if (event.type === 'put') {
      if (this.#graves.some((grave) => grave.revision > revision && grave.covers(key))) return;
      this.#entries.set(key, event.entry);
    } else {
      if (known === undefined) return;
      this.#entries.delete(key);
    }
    changed.add(key);
  }

  #replace(entries: readonly Entry[], revision: bigint, changed: Set<string>): void {
    // A store never goes back, unless it was restored from a backup: then nothing known of it counts.
    const restored = revision < this.#revision;
    if (restored) this.#graves = [];
    const kept = new Set(entries.map((entry) => entry.key));
    for (const known of [...this.#entries.below('')]) {
      if (kept.has(known.key) ? !restored : known.revision > revision && !restored) continue;
      this.#entries.delete(known.key);
      changed.add(known.key);
    }
    for (const entry of entries) this.#take({ type: 'put', entry }, changed);
    this.#pass(revision);
  }

  #pass(revision: bigint): void {
    this.#revision = revision;
    this.#graves = this.#graves.filter((grave) => grave.revision > revision);
  }

  #isWatched(key: string): boolean {
    return key.startsWith(this.prefix) && (this.#before === undefined || key < this.#before);
  }

  #keysBelow(prefix: string): string[] {
    return Array.from(this.#entries.below(prefix), (entry) => entry.key);
  }
}

/** The same store, whose commits are seen in the mirrors as soon as they are answered. */
export function mirroring(store: Store, mirrors: () => Iterable<Mirror>): Store {
  return withTransact(store, async (transaction) => {
    const outcome = await store.transact(transaction);
    if (outcome.outcome === 'committed') {
      for (const mirror of mirrors()) mirror.commit(transaction.writes, outcome.revision);
    }
    return outcome;
  });
}
