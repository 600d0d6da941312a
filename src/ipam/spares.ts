/**
 * What this host may give to containers by itself, while the store is away.
 *
 *   free --set aside, in the store--> spare --given, on disk--> given --announced, in the store--> assigned
 *                                       ^--taken back, on disk----'
 *
 * No host but its owner touches what a block's record says to be spare, or assigned to the owner: others refuse it, and
 * not even what a host that is gone has left of it is reclaimed, since it may only be cut off and be giving it out. So
 * the owner needs nobody's leave, as long as it knows for certain what the record says. It learns that from its own
 * commits alone, and forgets before it acts:
 *
 * - Nothing is known to be this host's but by a transaction of its own that was answered. Such a one has
 *   also put an end to all that were sent before and might still take effect, since each rests on the block's revision.
 * - What an endpoint has that was joined was announced with it, and is not given up before the ledger has lost the
 *   endpoint. So weft knows it again when it starts anew (`recall`).
 * - Before a transaction is sent that gives something up, it is struck off here, and off the disk: from
 *   then on, until the next commit, it is not given to anybody, whatever comes of the transaction.
 * - Nor does anything stay this host's of a pool to which it has given up its last reference: with the last of all hosts'
 *   the pool goes, and all its blocks.
 * - What the store is seen to say otherwise counts at once. The host looks there when a claim tells that another one has
 *   written to the block, and for every block when it has been without the store.
 * - What is given is on disk before Docker is answered, and so are the spare ones left: neither the end of weft nor a
 *   loss of power gives one twice.
 */
import { type Assignment, type Block, hostOf, offsetsIn } from '../model/block-record.ts';
import { records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import { type Entry, type Store, type Transaction, type Write, withTransact } from '../store/store.ts';
import type { BlockCache } from './block-cache.ts';

/** Of how many addresses of a pool a host keeps itself provided. */
export const spareCount = 16;

/** A block of this host's. */
export interface OwnBlock {
  /** Its key in the store. */
  readonly id: string;
  /** Its name. */
  readonly pool: string;
  readonly cidr: string;
  /** Offsets that may be given. */
  readonly spare: readonly number[];
  /** When each of these was given back, if it ever was; milliseconds since 1970. */
  readonly freedMs: Readonly<Record<string, number>>;
  /** What was given, by offset; in the store it is spare as long as its endpoint is not announced. */
  readonly given: Readonly<Record<string, Assignment>>;
}

/** On disk when a promise resolves; in memory at once. */
export interface OwnBlockShelf {
  get(id: string): OwnBlock | undefined;
  all(): OwnBlock[];
  put(block: OwnBlock): Promise<void>;
  delete(id: string): Promise<void>;
}

export class Spares {
  readonly #shelf: OwnBlockShelf;
  readonly #keys: Keys;
  readonly #hostId: string;
  readonly #blocks: BlockCache;
  readonly #store: Store;
  readonly #failed: (error: unknown) => void;
  /** Of each block, the newest revision that this host has written, or has sent a transaction on that gives something up. */
  readonly #revisions = new Map<string, bigint>();
  /** Of each block, what the store has as assigned to this host for certain; given or not. */
  readonly #assigned = new Map<string, ReadonlySet<number>>();
  /** Of each pool, how many addresses are spare or given. */
  readonly #counts = new Map<string, number>();
  /** Whether all was compared with the store since it was away. */
  #isCompared = false;

  /** @param of.failed told when the disk does not take what it may take later */
  constructor(
    shelf: OwnBlockShelf,
    of: {
      readonly keys: Keys;
      readonly hostId: string;
      readonly blocks: BlockCache;
      /** To be read only. */
      readonly store: Store;
      readonly failed: (error: unknown) => void;
    },
  ) {
    this.#shelf = shelf;
    this.#keys = of.keys;
    this.#hostId = of.hostId;
    this.#blocks = of.blocks;
    this.#store = of.store;
    this.#failed = of.failed;
    for (const block of shelf.all()) this.#count(block, sizeOf(block));
  }

  /** The same store; whatever this host changes in its blocks has to go through it. */
  guard(store: Store): Store {
    return withTransact(store, async (transaction) => {
      await this.#letGo(transaction);
      const outcome = await store.transact(transaction);
      if (outcome.outcome === 'committed') this.#takeUp(transaction.writes, outcome.revision);
      return outcome;
    });
  }

  /** To be called whenever the mirror has changed, with the keys that did. */
  hear(mirror: Mirror, changed: readonly string[]): void {
    const isCurrent = mirror.complete && mirror.connected;
    const isNew = this.#isCompared ? new Set(changed) : undefined;
    this.#isCompared = isCurrent;
    if (!isCurrent) return;
    // Most news is of none.
    if (isNew !== undefined && !changed.some((key) => key.startsWith(this.#keys.allClaims))) return;
    for (const { id, pool, cidr } of this.#shelf.all()) {
      const key = this.#keys.claim(pool, cidr);
      if (isNew?.has(key) !== false) this.#hearOf(id, mirror.get(key));
    }
  }

  #hearOf(id: string, entry: Entry | undefined): void {
    const claim = records.claim.read(entry?.value);
    // Of a claim that cannot be read, the block itself tells.
    const isOthers = claim !== undefined && claim.owner !== this.#hostId;
    if (entry === undefined || isOthers) this.#later(this.#forget(id));
    // What this host has written itself, it knows.
    else if (this.#blocks.get(id, entry) === undefined) void this.#look(id);
  }

  async #look(id: string): Promise<void> {
    try {
      const found = await this.#store.get(id);
      if (found === undefined) return;
      this.#blocks.take(found);
      if (found.revision < (this.#revisions.get(id) ?? 0n)) return;
      const record = records.block.read(found.value);
      await this.#keepOnly(id, (offset) => isOwn(record, offset, this.#hostId));
    } catch {
      // Away again, or the disk fails: with the next news all are compared.
      this.#isCompared = false;
    }
  }

  ofPool(pool: string): OwnBlock[] {
    return this.#shelf.all().filter((block) => block.pool === pool);
  }

  all(): OwnBlock[] {
    return this.#shelf.all();
  }

  get(id: string): OwnBlock | undefined {
    return this.#shelf.get(id);
  }

  /** How many addresses of the pool are spare or given, but for those of one block. */
  countElsewhere(pool: string, id: string): number {
    return (this.#counts.get(pool) ?? 0) - sizeOf(this.#shelf.get(id));
  }

  /** Whether the store certainly has it as this host's, whoever uses it. */
  isAssigned({ id }: OwnBlock, offset: number): boolean {
    return this.#isCertain(id, offset);
  }

  /** Takes it for certain that the store has it as this host's, until it is seen to say otherwise. */
  recall({ id }: OwnBlock, offset: number): void {
    this.#assigned.set(id, new Set([...this.#certain(id), offset]));
  }

  /** Resolves when it is on disk. @throws WeftError `internal` when the disk does not take it */
  async give(block: OwnBlock, offset: number, to: Assignment): Promise<void> {
    const { given, ...rest } = without(block, [offset]);
    await this.#put({ ...rest, given: { ...given, [offset]: to } });
  }

  /** Resolves when it is on disk. @throws as `give` */
  async takeBack(block: OwnBlock, offset: number, nowMs: number): Promise<void> {
    const { spare, freedMs, ...rest } = without(block, [offset]);
    await this.#put({ ...rest, spare: [...spare, offset], freedMs: { ...freedMs, [offset]: nowMs } });
  }

  /** None of the pool is this host's any more. Resolves when that is on disk. @throws as `give` */
  async forgetPool(pool: string): Promise<void> {
    for (const { id } of this.ofPool(pool)) await this.#forget(id);
  }

  async #letGo({ conditions, writes }: Transaction): Promise<void> {
    for (const { id, write } of writes.flatMap((one) => this.#borneOnBy(one))) {
      const record = 'put' in write ? records.block.read(write.value) : undefined;
      // What it takes for a container is not spare any more, though this host's.
      const isLeft = (offset: number) =>
        isOwn(record, offset, this.#hostId) &&
        (record?.spare?.includes(offset) === true || this.#isCertain(id, offset));
      if (!this.#isLosing(id, isLeft)) continue;
      for (const condition of conditions) {
        if ('key' in condition && condition.key === id && 'revision' in condition) {
          this.#advance(id, condition.revision);
        }
      }
      await this.#keepOnly(id, isLeft, (offset) => isOwn(record, offset, this.#hostId));
    }
  }

  #takeUp(writes: readonly Write[], revision: bigint): void {
    for (const write of writes) {
      if (!('put' in write)) {
        for (const { id } of this.#borneOnBy(write)) this.#later(this.#forget(id));
        continue;
      }
      const id = write.put;
      const record = id.startsWith(this.#keys.allBlocks) ? records.block.read(write.value) : undefined;
      if (record?.owner !== this.#hostId || !this.#advance(id, revision)) continue;
      this.#assigned.set(id, new Set(offsetsIn(record, this.#hostId)));
      const before = this.#shelf.get(id);
      const block = ownBlock(id, record, before);
      if (!isAsBefore(block, before)) this.#later(this.#put(block));
    }
  }

  /** The known blocks that the write bears on. */
  #borneOnBy(write: Write): { readonly id: string; readonly write: Write }[] {
    if ('deletePrefix' in write) {
      const below = this.#shelf.all().filter(({ id }) => id.startsWith(write.deletePrefix));
      return below.map(({ id }) => ({ id, write }));
    }
    const id = 'put' in write ? write.put : write.delete;
    return this.#shelf.get(id) === undefined ? [] : [{ id, write }];
  }

  /** Whether the revision is newer than what was done with the block so far. */
  #advance(id: string, revision: bigint): boolean {
    if (revision <= (this.#revisions.get(id) ?? 0n)) return false;
    this.#revisions.set(id, revision);
    return true;
  }

  #isCertain(id: string, offset: number): boolean {
    return this.#assigned.get(id)?.has(offset) === true;
  }

  /** Those that are assigned to this host for certain. */
  #certain(id: string): number[] {
    return [...(this.#assigned.get(id) ?? [])];
  }

  #isLosing(id: string, isLeft: (offset: number) => boolean): boolean {
    return !(this.#shelf.get(id)?.spare ?? []).every(isLeft) || !this.#certain(id).every(isLeft);
  }

  /** In memory at once. */
  async #keepOnly(
    id: string,
    isLeft: (offset: number) => boolean,
    isGivenLeft: (offset: number) => boolean = isLeft,
  ): Promise<void> {
    const certain = this.#certain(id);
    if (!certain.every(isLeft)) this.#assigned.set(id, new Set(certain.filter(isLeft)));
    const block = this.#shelf.get(id);
    if (block === undefined) return;
    const lost = [
      ...block.spare.filter((offset) => !isLeft(offset)),
      ...Object.keys(block.given)
        .map(Number)
        .filter((offset) => !isGivenLeft(offset)),
    ];
    if (lost.length === 0) return;
    const left = without(block, lost);
    const isEmpty = sizeOf(left) === 0;
    await (isEmpty ? this.#delete(id) : this.#put(left));
  }

  /** In memory at once. */
  #forget(id: string): Promise<void> {
    this.#assigned.delete(id);
    return this.#delete(id);
  }

  #put(block: OwnBlock): Promise<void> {
    this.#count(block, sizeOf(block) - sizeOf(this.#shelf.get(block.id)));
    return this.#shelf.put(block);
  }

  async #delete(id: string): Promise<void> {
    const block = this.#shelf.get(id);
    if (block !== undefined) this.#count(block, -sizeOf(block));
    await this.#shelf.delete(id);
  }

  #count({ pool }: OwnBlock, more: number): void {
    this.#counts.set(pool, (this.#counts.get(pool) ?? 0) + more);
  }

  #later(written: Promise<void>): void {
    written.catch(this.#failed);
  }
}

function sizeOf(block: OwnBlock | undefined): number {
  return block === undefined ? 0 : block.spare.length + Object.keys(block.given).length;
}

/** Whether nobody but this host may give it away. */
function isOwn(record: Block | undefined, offset: number, hostId: string): boolean {
  if (record?.owner !== hostId) return false;
  return record.spare?.includes(offset) === true || hostOf(record, offset) === hostId;
}

/** What is given stays so until the store has it assigned; what rests goes on resting. */
function ownBlock(id: string, { pool, cidr, spare = [], freedMs }: Block, before?: OwnBlock): OwnBlock {
  const given = Object.entries(before?.given ?? {}).filter(([offset]) => spare.includes(Number(offset)));
  const left = spare.filter((offset) => before?.given[offset] === undefined);
  const rests = left.flatMap((offset) => {
    const restsSinceMs = before?.freedMs[offset] ?? freedMs?.[offset];
    return restsSinceMs === undefined ? [] : [[offset, restsSinceMs] as const];
  });
  return {
    ...{ id, pool, cidr, spare: left },
    freedMs: Object.fromEntries(rests),
    given: Object.fromEntries(given),
  };
}

/** After `ownBlock`, by which nothing comes to be given, and nothing that stays spare rests otherwise. */
function isAsBefore(block: OwnBlock, before: OwnBlock | undefined): boolean {
  if (before === undefined || sizeOf(block) !== sizeOf(before)) return false;
  return block.spare.every((offset, nth) => offset === before.spare[nth]);
}

/** Neither spare nor given. */
function without(block: OwnBlock, offsets: readonly number[]): OwnBlock {
  return {
    ...block,
    spare: block.spare.filter((offset) => !offsets.includes(offset)),
    freedMs: omit(block.freedMs, offsets),
    given: omit(block.given, offsets),
  };
}

function omit<T>(by: Readonly<Record<string, T>>, offsets: readonly number[]): Record<string, T> {
  return Object.fromEntries(Object.entries(by).filter(([offset]) => !offsets.includes(Number(offset))));
}
