/** How a host comes by its spare addresses (`spares.ts`): with an assignment, or else when it finds that it lacks some. */
import type { Block } from '../model/block-record.ts';
import { parsePoolName } from '../model/pool-name.ts';
import { records } from '../model/records.ts';
import type { Plan } from '../store/settle.ts';
import { countFree, longAgo, setAside, touch } from './block.ts';
import { type HeldBlock, type HeldPool, poolOf, writingOf } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { ownBlocks, spanIn } from './next-place.ts';
import { countBlocks, windowOf } from './pool.ts';
import { change, look, type Reading } from './reading.ts';
import { spareCount } from './spares.ts';

/** From where, of a pool. */
interface Source {
  readonly pool: HeldPool;
  /** CIDR to which this host's automatic addresses are limited. */
  readonly range: string | undefined;
  readonly block: HeldBlock;
}

/**
 * The record with as many spare addresses as this host lacks in the pool. They are no loss to others while there are
 * blocks that nobody has claimed, nor where enough are left of this one. A pool of one block is too small for it.
 */
export function withSpares(
  { keys, hostId, spares, restMs, now }: Ipam,
  reading: Reading,
  { pool, range, block }: Source,
  record: Block,
): Block {
  if (record.owner !== hostId) return record;
  const missing = spareCount - spares.countElsewhere(pool.name, block.key) - (record.spare?.length ?? 0);
  if (missing <= 0) return record;
  const count = countBlocks(pool.prefix);
  const window = windowOf(block.prefix, spanIn(pool, range), pool.keptBack);
  const free = countFree(record, window);
  // Before all blocks are counted: where a pool is full, some are missing at every allocation.
  if (free === 0 || count === 1n) return record;
  const claimed = reading.entries(keys.claims(pool.name)).length + (block.revision === 0n ? 1 : 0);
  const isScarce = claimed >= count && free < missing + spareCount;
  return isScarce ? record : setAside(record, window, missing, longAgo(now(), restMs));
}

/**
 * Sets aside what this host lacks, since it was given out while the store was away.
 * @throws WeftError as `change`
 */
export async function refillSpares(ipam: Ipam): Promise<void> {
  const { queue, spares } = ipam;
  for (const name of new Set(spares.all().map(({ pool }) => pool))) {
    // Nearly always there is nothing to do, and what is known here tells.
    if ((await look(ipam, (reading) => refilled(ipam, reading, name))) === undefined) continue;
    await queue(name, () =>
      change(ipam, `set addresses of subnet ${name} aside`, (reading): Plan<void> => {
        const found = refilled(ipam, reading, name);
        if (found === undefined) return { done: undefined };
        const { pool, block, record } = found;
        const { value, writes } = writingOf(ipam, block, touch(record));
        return {
          transaction: {
            conditions: [
              { key: pool.key, revision: pool.revision },
              { key: block.key, revision: block.revision },
            ],
            writes,
          },
          result: undefined,
          proof: { key: block.key, holds: (entry) => entry?.value === value },
        };
      }),
    );
  }
}

/** The first own block of the pool that there are spare ones to be had of. */
function refilled(
  ipam: Ipam,
  reading: Reading,
  name: string,
): { readonly pool: HeldPool; readonly block: HeldBlock; readonly record: Block } | undefined {
  const { keys, hostId } = ipam;
  if (records.pool.read(reading.get(keys.pool(name))?.value) === undefined) return undefined;
  const pool = poolOf(reading, keys, { name, ...parsePoolName(name) });
  const references = reading
    .entries(keys.references(name))
    .map(({ value }) => records.poolReference.read(value));
  const ranges = references.filter((one) => one?.host === hostId).map((one) => one?.range);
  if (ranges.length === 0) return undefined;
  const range = ranges.includes(undefined) ? undefined : ranges[0];
  for (const block of ownBlocks(ipam, reading, name)) {
    const record = withSpares(ipam, reading, { pool, range, block }, block.record);
    if (record !== block.record) return { pool, block, record };
  }
  return undefined;
}
