/**
 * How an operation sees the store: through the mirror, which costs nothing and may be behind.
 *
 * A plan that writes may rest on the mirror, because the store checks its conditions; after a conflict, what
 * those conditions name is read afresh. A plan that refuses, or finds nothing to do, nobody checks: so it is
 * made again until all that it looked at was read from the store. Nobody is refused because of old news.
 */
import type { Mirror } from '../store/mirror.ts';
import { type Plan, transactUntilSettled } from '../store/settle.ts';
import type { Condition, Entry, Store } from '../store/store.ts';
import type { Ipam } from './ipam.ts';

/**
 * Plans over the mirror, transacts, and settles the outcome.
 * @param plan has no effects; gets the number of conflicts so far, and throws WeftError to refuse
 * @throws WeftError what `plan` throws, and as `transactUntilSettled`
 */
export async function change<T>(
  ipam: Ipam,
  subject: string,
  plan: (reading: Reading, conflicts: number) => Plan<T>,
): Promise<T> {
  const { store, mirror, clock, random } = ipam;
  const reading = new Reading(store, mirror);
  let conflicts = -1;
  let tried: readonly Condition[] = [];

  async function attempt(): Promise<Plan<T>> {
    conflicts += 1;
    await reading.refresh(tried);
    for (;;) {
      let made: Plan<T> | { readonly refused: unknown };
      try {
        made = plan(reading, conflicts);
      } catch (refused) {
        made = { refused };
      }
      const checked = 'transaction' in made && mirror.complete && mirror.connected;
      if (!checked && (await reading.verify())) continue;
      if ('refused' in made) throw made.refused;
      if ('transaction' in made) tried = made.transaction.conditions;
      return made;
    }
  }
  return transactUntilSettled(store, { subject, attempt, clock, random });
}

/** The mirror, corrected by what was read from the store itself; remembers what it was asked for. */
export class Reading {
  readonly #store: Store;
  readonly #mirror: Mirror;
  /** Read from the store; undefined: it has no such key. */
  readonly #entries = new Map<string, Entry | undefined>();
  /** Prefixes read as a whole, and at which revision. */
  readonly #lists = new Map<string, bigint>();
  readonly #askedKeys = new Set<string>();
  readonly #askedPrefixes = new Set<string>();

  constructor(store: Store, mirror: Mirror) {
    this.#store = store;
    this.#mirror = mirror;
  }

  get(key: string): Entry | undefined {
    this.#askedKeys.add(key);
    return this.#isRead(key) ? this.#entries.get(key) : this.#mirror.get(key);
  }

  /** Everything below the prefix, in no particular order. */
  entries(prefix: string): Entry[] {
    this.#askedPrefixes.add(prefix);
    const mirrored = this.#lists.has(prefix) ? [] : [...this.#mirror.entries(prefix)];
    // The usual case, and in a large pool the one that must be quick.
    if (this.#entries.size === 0) return mirrored;
    const read = [...this.#entries.values()].filter((entry) => entry !== undefined);
    return [
      ...mirrored.filter((entry) => !this.#isRead(entry.key)),
      ...read.filter((entry) => entry.key.startsWith(prefix)),
    ];
  }

  /** Revision up to which `entries(prefix)` is complete. */
  revision(prefix: string): bigint {
    return this.#lists.get(prefix) ?? this.#mirror.revision;
  }

  /** Reads afresh what the conditions are about. */
  async refresh(conditions: readonly Condition[]): Promise<void> {
    await Promise.all(
      conditions.map((condition) =>
        'key' in condition ? this.#readKey(condition.key) : this.#readPrefix(condition.prefix),
      ),
    );
  }

  /** Reads what was asked for and was answered by the mirror; false when there was nothing of the kind. */
  async verify(): Promise<boolean> {
    const prefixes = [...this.#askedPrefixes].filter((prefix) => !this.#lists.has(prefix));
    await Promise.all(prefixes.map((prefix) => this.#readPrefix(prefix)));
    const keys = [...this.#askedKeys].filter((key) => !this.#isRead(key));
    await Promise.all(keys.map((key) => this.#readKey(key)));
    return prefixes.length + keys.length > 0;
  }

  #isRead(key: string): boolean {
    return this.#entries.has(key) || [...this.#lists.keys()].some((prefix) => key.startsWith(prefix));
  }

  async #readKey(key: string): Promise<void> {
    this.#entries.set(key, await this.#store.get(key));
  }

  async #readPrefix(prefix: string): Promise<void> {
    const { entries, revision } = await this.#store.list(prefix);
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.#entries.delete(key);
    for (const entry of entries) this.#entries.set(entry.key, entry);
    this.#lists.set(prefix, revision);
  }
}
