/**
 * What a watch has told, summed up: enough to notice, by one cheap question to the store, that something was
 * not told. It should never happen; if it did, this host would send packets the wrong way until it restarts.
 */
import type { Entry, StoreEvent } from './store.ts';

/** The same sum as the store has it, of the keys that existed at one revision. */
export interface Census {
  readonly count: number;
  /** Greatest revision of any of them; 0n when there are none. */
  readonly newest: bigint;
}

export class WatchTally {
  readonly #keys = new Set<string>();
  #newest = 0n;

  snapshot(entries: readonly Entry[]): void {
    this.#keys.clear();
    this.#newest = 0n;
    for (const entry of entries) this.#put(entry);
  }

  events(events: readonly StoreEvent[]): void {
    for (const event of events) {
      if (event.type === 'put') this.#put(event.entry);
      else this.#keys.delete(event.key);
    }
  }

  /** @param census of the revision up to which the watch has told everything */
  agrees(census: Census): boolean {
    return census.count === this.#keys.size && census.newest <= this.#newest;
  }

  #put(entry: Entry): void {
    this.#keys.add(entry.key);
    if (entry.revision > this.#newest) this.#newest = entry.revision;
  }
}
