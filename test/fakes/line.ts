/**
 * A host's line to the store in memory: cut, stalled, behind with its news, or losing what is on it. Other hosts
 * have lines of their own.
 */
import { WeftError } from '../../src/errors.ts';
import type { Entry, Lease, Notice, Outcome, Store, Transaction } from '../../src/store/store.ts';

export class FakeLine implements Store {
  readonly #store: Store;
  #state: 'up' | 'cut' | 'stalled' = 'up';
  #failing = Promise.withResolvers<undefined>();
  readonly #awaitingMend = new Set<() => void>();
  #isBehind = false;
  #requestsToLose = 0;
  #answersToLose = 0;
  #underWay: Transaction[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#assertUp();
    return this.#store.get(key);
  }

  async list(prefix: string): Promise<{ entries: readonly Entry[]; revision: bigint }> {
    this.#assertUp();
    return this.#store.list(prefix);
  }

  async transact(transaction: Transaction): Promise<Outcome> {
    if (this.#state === 'stalled') {
      this.#underWay.push(transaction);
      return unknown('is on its way');
    }
    this.#assertUp();
    if (this.#requestsToLose > 0) {
      this.#requestsToLose -= 1;
      return unknown('was lost');
    }
    const outcome = await this.#store.transact(transaction);
    if (this.#answersToLose === 0) return outcome;
    this.#answersToLose -= 1;
    return unknown('was answered in vain');
  }

  async *watch(prefix: string, signal: AbortSignal, before?: string): AsyncGenerator<Notice> {
    const news = this.#store.watch(prefix, signal, before)[Symbol.asyncIterator]();
    let next = news.next();
    let revision: bigint | undefined;
    while (!signal.aborted) {
      if (this.#state !== 'up') {
        yield { type: 'lost', cause: new WeftError('unavailable', 'the line (fake) is down') };
        await this.#until(() => this.#state === 'up', signal);
        if (revision !== undefined) yield { type: 'events', events: [], revision };
        continue;
      }
      const told = await Promise.race([next, this.#failing.promise]);
      await this.#until(() => !this.#isBehind, signal);
      // What was told to a line that has failed meanwhile is told when it is mended.
      if (told === undefined || this.#state !== 'up') continue;
      if (told.done === true) return;
      next = news.next();
      if (told.value.type !== 'lost') revision = told.value.revision;
      yield told.value;
    }
  }

  async grantLease(ttlSeconds: number): Promise<Lease> {
    this.#assertUp();
    return this.#store.grantLease(ttlSeconds);
  }

  async renewLease(lease: Lease): Promise<boolean> {
    this.#assertUp();
    return this.#store.renewLease(lease);
  }

  async close(): Promise<void> {}

  /** Nothing gets through, and who sends knows it. */
  cut(): void {
    this.#fail('cut');
  }

  /** Nothing gets through, and who sends does not know whether it did. */
  stall(): void {
    this.#fail('stalled');
  }

  /** What is asked is answered; what happens is told only once the line is mended. */
  delayNews(): void {
    this.#isBehind = true;
  }

  /** The next transactions do not arrive, and who sent them does not know. */
  loseRequests(count: number): void {
    this.#requestsToLose = count;
  }

  /** The next transactions take effect, and who sent them does not know. */
  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** After any of these. @param arrives whether what was sent on a stalled line gets there now, or never */
  mend(arrives: boolean): void {
    this.#state = 'up';
    this.#isBehind = false;
    this.#requestsToLose = 0;
    this.#answersToLose = 0;
    const underWay = this.#underWay;
    this.#underWay = [];
    // Nobody hears what becomes of it.
    if (arrives) for (const transaction of underWay) void this.#store.transact(transaction);
    for (const mended of this.#awaitingMend) mended();
    this.#awaitingMend.clear();
  }

  #fail(state: 'cut' | 'stalled'): void {
    this.#state = state;
    this.#failing.resolve(undefined);
    this.#failing = Promise.withResolvers();
  }

  #assertUp(): void {
    if (this.#state === 'cut') throw new WeftError('unavailable', 'the store (fake) cannot be reached');
    if (this.#state === 'stalled') throw new WeftError('timeout', 'the store (fake) did not answer');
  }

  /** It is so only once the line is mended. */
  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isSo() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#awaitingMend.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}

function unknown(what: string): Outcome {
  return { outcome: 'unknown', cause: new WeftError('timeout', `a transaction ${what} (fake)`) };
}
