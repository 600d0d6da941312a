/**
 * In which of its own blocks a host has last seen room, so that an allocation costs the same however many blocks there are.
 *
 * They only tell where to look first: a block itself is read like any other. One that is listed in vain costs a look at
 * it, and one that is missing is found when all blocks are looked at, which is before another one is claimed.
 */
import { nextFree } from './block.ts';
import { blockIn, type HeldBlock, type HeldPool } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { usable, windowOf } from './pool.ts';
import type { Reading } from './reading.ts';

type Vacancy = Pick<HeldBlock, 'key' | 'prefix' | 'record'>;

export class Vacancies {
  /** By the name of the pool. */
  readonly #blocks = new Map<string, readonly Vacancy[]>();

  /** The lowest first. */
  of(pool: string): readonly Vacancy[] {
    return this.#blocks.get(pool) ?? [];
  }

  /** These, and no others. @param blocks the lowest first */
  set(pool: string, blocks: readonly Vacancy[]): void {
    if (blocks.length === 0) this.#blocks.delete(pool);
    else this.#blocks.set(pool, blocks);
  }

  add(pool: string, block: Vacancy): void {
    const known = this.of(pool);
    const at = known.findLastIndex(({ prefix }) => prefix.first <= block.prefix.first) + 1;
    if (known[at - 1]?.key !== block.key) this.set(pool, known.toSpliced(at, 0, block));
  }

  delete(pool: string, block: Vacancy): void {
    const known = this.of(pool);
    this.set(pool, known.toSpliced(known.indexOf(block), 1));
  }
}

/** Own blocks with room, from the lowest up, as far as it is known which these are. */
export function* vacantBlocks(
  { vacancies, hostId }: Ipam,
  reading: Reading,
  pool: HeldPool,
): Generator<HeldBlock> {
  for (const vacancy of vacancies.of(pool.name)) {
    const entry = reading.block(pool.name, vacancy.record.cidr);
    const block = entry && blockIn(entry, vacancy.prefix);
    const isOwn = block?.record !== undefined && block.record.owner === hostId;
    if (isOwn) yield block;
    // Who has found a place there does not come back.
    if (!isOwn || !hasRoom(block, pool)) vacancies.delete(pool.name, vacancy);
  }
}

/** Whether an address of the block is free, though it may have to rest. */
export function hasRoom({ prefix, record }: HeldBlock, pool: HeldPool): boolean {
  return nextFree(record, windowOf(prefix, usable(pool.prefix), pool.keptBack)) !== undefined;
}
