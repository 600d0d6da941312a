/** Follows a watch in the background, and lets a test wait for what it has to tell. */
import { Mirror } from '../../src/store/mirror.ts';
import type { Notice, Store } from '../../src/store/store.ts';

export class Watcher {
  readonly notices: Notice[] = [];
  readonly mirror: Mirror;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #wake: () => void = () => {};

  constructor(
    store: Store,
    prefix: string,
    onChange: (mirror: Mirror, changed: readonly string[]) => void = () => {},
    before?: string,
  ) {
    this.mirror = new Mirror(prefix, (changed) => onChange(this.mirror, changed), before);
    this.#done = this.#follow(store, prefix, before);
  }

  async #follow(store: Store, prefix: string, before: string | undefined): Promise<void> {
    for await (const notice of store.watch(prefix, this.#abort.signal, before)) {
      this.notices.push(notice);
      this.mirror.apply(notice);
      this.#wake();
    }
  }

  /** Waits until it is so, one wait at a time; the test's own time limit ends a wait in vain. */
  async until(holds: (watcher: Watcher) => boolean): Promise<void> {
    const ended = this.#done.then(() => Promise.reject(new Error('the watch ended before it was so')));
    while (!holds(this)) {
      const told = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([told, ended]);
    }
    ended.catch(() => {});
  }

  /** Values by key, without the prefix. */
  get seen(): Record<string, string> {
    const entries = [...this.mirror.entries(this.mirror.prefix)];
    return Object.fromEntries(entries.map(({ key, value }) => [key.slice(this.mirror.prefix.length), value]));
  }

  types(): string[] {
    return this.notices.map((notice) => notice.type);
  }

  /** Resolves when the watch has ended. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}
