/**
 * An in-memory store with etcd's semantics and faults on demand. It passes the same suite as the real one
 * (`test/contract/store-suite.ts`). Time passes only by `advance`.
 */
import { WeftError } from '../../src/errors.ts';
import { checkLimits } from '../../src/store/limits.ts';
import type {
  Condition,
  Entry,
  Lease,
  Notice,
  Outcome,
  Store,
  StoreEvent,
  Transaction,
  Write,
} from '../../src/store/store.ts';

interface Held {
  readonly entry: Entry;
  readonly lease: string | undefined;
}

export class FakeStore implements Store {
  /** Every transaction that was sent, in order, whatever came of it. */
  readonly sent: Transaction[] = [];
  readonly #held = new Map<string, Held>();
  readonly #leases = new Map<string, { readonly ttlMs: number; endMs: number }>();
  #history: StoreEvent[] = [];
  #revision = 1n;
  #compacted = 0n;
  #nowMs = 0;
  #state: 'up' | 'down' | 'frozen' | 'closed' = 'up';
  #answersToLose = 0;
  #waiting: Transaction[] = [];
  readonly #wake = new Set<() => void>();

  get revision(): bigint {
    return this.#revision;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertReadable();
    return this.#held.get(key)?.entry;
  }

  async list(prefix: string): Promise<{ entries: readonly Entry[]; revision: bigint }> {
    this.#assertReadable();
    return { entries: this.#inOrder(prefix), revision: this.#revision };
  }

  async transact(transaction: Transaction): Promise<Outcome> {
    checkLimits(transaction);
    this.sent.push(transaction);
    if (this.#state === 'frozen') {
      this.#waiting.push(transaction);
      return { outcome: 'unknown', cause: new WeftError('timeout', 'the store (fake) did not answer') };
    }
    this.#assertReadable();
    if (!this.#leasesLive(transaction)) {
      throw new WeftError('not-found', 'the store (fake) does not know the lease any more');
    }
    const outcome = this.#apply(transaction);
    if (this.#answersToLose === 0) return outcome;
    this.#answersToLose -= 1;
    return {
      outcome: 'unknown',
      cause: new WeftError('unavailable', 'the answer of the store (fake) was lost'),
    };
  }

  async *watch(prefix: string, signal: AbortSignal, before?: string): AsyncGenerator<Notice> {
    const isWatched = (key: string) => before === undefined || key < before;
    let next: bigint | undefined;
    let lost = false;
    signal.addEventListener('abort', () => this.#notify(), { once: true });
    while (!signal.aborted) {
      if (!lost && this.#state !== 'up') {
        lost = true;
        yield { type: 'lost', cause: new WeftError('unavailable', 'the store (fake) does not answer') };
      } else if (this.#state !== 'up') {
        await this.#change();
      } else if (next === undefined || next <= this.#compacted || next > this.#revision + 1n) {
        lost = false;
        next = this.#revision + 1n;
        const entries = this.#inOrder(prefix).filter(({ key }) => isWatched(key));
        yield { type: 'snapshot', entries, revision: this.#revision };
      } else if (lost) {
        lost = false;
        yield { type: 'events', events: [], revision: next - 1n };
      } else {
        const isBehind = next <= this.#revision;
        const events = this.#eventsFrom(next, prefix).filter((event) => isWatched(subjectOf(event).key));
        next = this.#revision + 1n;
        // Of what is not watched nothing is told but that it has passed, as by a progress notice of etcd's.
        const isToldOf = events.length > 0 || (isBehind && before !== undefined);
        if (isToldOf) yield { type: 'events', events, revision: this.#revision };
        else await this.#change();
      }
    }
  }

  async grantLease(ttlSeconds: number): Promise<Lease> {
    this.#assertReadable();
    const id = String(this.#leases.size + 1);
    this.#leases.set(id, { ttlMs: ttlSeconds * 1000, endMs: this.#nowMs + ttlSeconds * 1000 });
    return { id };
  }

  async renewLease(lease: Lease): Promise<boolean> {
    this.#assertReadable();
    const held = this.#leases.get(lease.id);
    if (held === undefined || held.endMs <= this.#nowMs) return false;
    held.endMs = this.#nowMs + held.ttlMs;
    return true;
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#notify();
  }

  /** Lets time pass for leases; keys of those that end are deleted. */
  advance(durationMs: number): void {
    this.#nowMs += durationMs;
    for (const [id, lease] of this.#leases) {
      if (lease.endMs > this.#nowMs) continue;
      const keys = [...this.#held.values()].filter((held) => held.lease === id).map((held) => held.entry.key);
      this.#apply({ conditions: [], writes: keys.map((key) => ({ delete: key })) });
    }
  }

  /** Connections are refused: nothing gets through. */
  stop(): void {
    this.#state = 'down';
    this.#notify();
  }

  /** Requests are taken and not answered: reads run into their time limit, transactions wait for `start`. */
  freeze(): void {
    this.#state = 'frozen';
    this.#notify();
  }

  /** After `stop` or `freeze`; what waited in a frozen store now takes effect. */
  start(): void {
    this.#state = 'up';
    for (const transaction of this.#waiting.splice(0)) {
      if (this.#leasesLive(transaction)) this.#apply(transaction);
    }
    this.#notify();
  }

  /** The next transactions take effect and their answers are lost. */
  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** By another host, whatever the state of our own connection. */
  writeElsewhere(writes: readonly Write[]): void {
    this.#apply({ conditions: [], writes });
  }

  /** Comes back with what it held at a time before, and its revision of then; nobody is told. */
  restore(entries: readonly Entry[], revision: bigint): void {
    this.#held.clear();
    for (const entry of entries) this.#held.set(entry.key, { entry, lease: undefined });
    this.#leases.clear();
    this.#history = [];
    this.#revision = revision;
  }

  /** Forgets all events so far: a watch that missed one needs a new snapshot. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  #assertReadable(): void {
    if (this.#state === 'frozen') throw new WeftError('timeout', 'the store (fake) did not answer');
    if (this.#state !== 'up') throw new WeftError('unavailable', 'the store (fake) cannot be reached');
  }

  #apply({ conditions, writes }: Transaction): Outcome {
    if (!conditions.every((condition) => this.#holds(condition))) return { outcome: 'conflict' };

    const revision = this.#revision + 1n;
    const events: StoreEvent[] = [];
    for (const write of writes) {
      if ('put' in write) {
        const entry = { key: write.put, value: write.value, revision };
        this.#held.set(write.put, { entry, lease: write.lease?.id });
        events.push({ type: 'put', entry });
        continue;
      }
      const doomed =
        'delete' in write
          ? [...this.#held.keys()].filter((key) => key === write.delete)
          : this.#below(write.deletePrefix).map((entry) => entry.key);
      for (const key of doomed) {
        this.#held.delete(key);
        events.push({ type: 'delete', key, revision });
      }
    }
    if (events.length > 0) this.#revision = revision;
    this.#history.push(...events);
    this.#notify();
    return { outcome: 'committed', revision: this.#revision };
  }

  #leasesLive({ writes }: Transaction): boolean {
    return writes.every((write) => {
      if (!('put' in write) || write.lease === undefined) return true;
      return (this.#leases.get(write.lease.id)?.endMs ?? 0) > this.#nowMs;
    });
  }

  #holds(condition: Condition): boolean {
    if ('key' in condition) {
      const held = this.#held.get(condition.key);
      return 'exists' in condition ? held !== undefined : (held?.entry.revision ?? 0n) === condition.revision;
    }
    const entries = this.#below(condition.prefix);
    return 'unchangedSince' in condition
      ? entries.every((entry) => entry.revision <= condition.unchangedSince)
      : entries.every((entry) => entry.key === condition.emptyExcept);
  }

  #below(prefix: string): Entry[] {
    const entries = Array.from(this.#held.values(), ({ entry }) => entry);
    return entries.filter(({ key }) => key.startsWith(prefix));
  }

  #inOrder(prefix: string): Entry[] {
    return this.#below(prefix).sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  #eventsFrom(revision: bigint, prefix: string): StoreEvent[] {
    const before = this.#history.findLastIndex((event) => subjectOf(event).revision < revision);
    return this.#history.slice(before + 1).filter((event) => subjectOf(event).key.startsWith(prefix));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.add(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake) wake();
    this.#wake.clear();
  }
}

function subjectOf(event: StoreEvent): { readonly key: string; readonly revision: bigint } {
  return event.type === 'put' ? event.entry : event;
}
