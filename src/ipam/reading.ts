/**
 * How an operation sees the store: through the mirror, which costs nothing and may be behind. Blocks are not watched: of
 * its own a host knows what it last wrote, others' are read when a plan asks for them, which is made again then.
 *
 * A plan that writes may rest on the mirror, because the store checks its conditions; after a conflict, what
 * those conditions name is read afresh. A plan that refuses, or finds nothing to do, nobody checks: so it is
 * made again until all that it looked at was read from the store. Nobody is refused because of old news.
 */
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import { type Plan, transactUntilSettled } from '../store/settle.ts';
import type { Condition, Entry, Store } from '../store/store.ts';
import type { BlockCache } from './block-cache.ts';
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
  const reading = new Reading(ipam);
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
      if ('refused' in made && made.refused instanceof NotRead) {
        await reading.readMissing();
        continue;
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

/**
 * What can be seen, without anything resting on it: whoever acts on it plans anew.
 * @throws WeftError what `see` throws, and when the store is needed and away
 */
export async function look<T>(ipam: Ipam, see: (reading: Reading) => T): Promise<T> {
  const reading = new Reading(ipam);
  for (;;) {
    try {
      return see(reading);
    } catch (error) {
      if (!(error instanceof NotRead)) throw error;
      await reading.readMissing();
    }
  }
}

/** What was asked for is not known here: it is to be read, and asked for again. */
class NotRead extends Error {}

/** Its key, and the entry of its claim. */
export interface ClaimedBlock {
  readonly key: string;
  readonly entry: Entry;
}

/** The mirror, corrected by what was read from the store itself; remembers what it was asked for. */
export class Reading {
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #keys: Keys;
  readonly #blocks: BlockCache;
  /** Read from the store; undefined: it has no such key. */
  readonly #entries = new Map<string, Entry | undefined>();
  /** Prefixes read as a whole, and at which revision. */
  readonly #lists = new Map<string, bigint>();
  readonly #askedKeys = new Set<string>();
  readonly #askedPrefixes = new Set<string>();
  readonly #missingKeys = new Set<string>();
  readonly #missingPrefixes = new Set<string>();

  constructor({ store, mirror, keys, blocks }: Pick<Ipam, 'store' | 'mirror' | 'keys' | 'blocks'>) {
    this.#store = store;
    this.#mirror = mirror;
    this.#keys = keys;
    this.#blocks = blocks;
  }

  get(key: string): Entry | undefined {
    this.#askedKeys.add(key);
    return this.#isRead(key) ? this.#entries.get(key) : this.#mirror.get(key);
  }

  /**
   * The blocks with these claims; undefined: there is none, its claim being out of date.
   * @throws NotRead when one is not known: for `look` and `change`
   */
  blocks(claims: readonly ClaimedBlock[]): (Entry | undefined)[] {
    const found = claims.map((claim) => this.#block(claim));
    if (this.#missingKeys.size > 0) throw new NotRead();
    return found;
  }

  /**
   * The block, be it claimed or not.
   * @throws as `blocks`
   */
  block(pool: string, cidr: string): Entry | undefined {
    const key = this.#keys.block(pool, cidr);
    // Who has read it need not know whether it is claimed.
    this.#askedKeys.add(key);
    if (this.#isRead(key)) return this.#entries.get(key);
    const entry = this.get(this.#keys.claim(pool, cidr));
    return entry && this.blocks([{ key, entry }])[0];
  }

  /** All blocks of a pool. @throws as `blocks` */
  allBlocks(pool: string): Entry[] {
    const prefix = this.#keys.blocks(pool);
    this.#askedPrefixes.add(prefix);
    if (this.#lists.has(prefix)) return this.entries(prefix);
    this.#missingPrefixes.add(prefix);
    throw new NotRead();
  }

  /** Reads what was asked for and is not known. */
  async readMissing(): Promise<void> {
    const [keys, prefixes] = [[...this.#missingKeys], [...this.#missingPrefixes]];
    this.#missingKeys.clear();
    this.#missingPrefixes.clear();
    await Promise.all([
      ...keys.map((key) => this.#readKey(key)),
      ...prefixes.map((prefix) => this.#readPrefix(prefix)),
    ]);
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

  #block({ key, entry: claim }: ClaimedBlock): Entry | undefined {
    this.#askedKeys.add(key);
    if (this.#isRead(key)) return this.#entries.get(key);
    const known = this.#blocks.get(key, claim);
    if (known === undefined) this.#missingKeys.add(key);
    return known;
  }

  #isRead(key: string): boolean {
    return this.#entries.has(key) || [...this.#lists.keys()].some((prefix) => key.startsWith(prefix));
  }

  async #readKey(key: string): Promise<void> {
    const entry = await this.#store.get(key);
    this.#entries.set(key, entry);
    if (entry !== undefined) this.#blocks.take(entry);
  }

  async #readPrefix(prefix: string): Promise<void> {
    const { entries, revision } = await this.#store.list(prefix);
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.#entries.delete(key);
    for (const entry of entries) {
      this.#entries.set(entry.key, entry);
      this.#blocks.take(entry);
    }
    this.#lists.set(prefix, revision);
  }
}
