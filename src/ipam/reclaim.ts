/**
 * What goes back to the pool though no call of Docker's says so: blocks from which nobody is served, and what a
 * host that is gone had been given and no endpoint of it uses. An endpoint of a host that is gone keeps its
 * addresses: the host may only be cut off, its containers running.
 *
 * Here is what may be taken, and the transaction that takes it, which holds only if it still may be. That it was so
 * for a while is for the caller to see.
 */
import { WeftError } from '../errors.ts';
import { printAddress } from '../model/address.ts';
import { type Block, holdersOf, records } from '../model/records.ts';
import type { Plan } from '../store/settle.ts';
import type { Condition } from '../store/store.ts';
import { free, freedMs, longAgo, touch } from './block.ts';
import { type HeldBlock, knownBlock } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { change, Reading } from './reading.ts';

/** A block as it was when it was looked at. */
export interface SeenBlock {
  readonly pool: string;
  readonly cidr: string;
  readonly owner: string;
  /** Another one: somebody has written to it since. */
  readonly sequence: number;
}

/** Routes of all hosts change with every block that comes or goes, so one is not given back at the first lull. */
const emptyGraceMs = 5 * 60_000;

/** Blocks of these owners from which nobody is served, and has not been for a while. */
export function emptyBlocks(ipam: Ipam, isOwner: (hostId: string) => boolean): SeenBlock[] {
  return readableBlocks(ipam)
    .filter(({ record }) => isOwner(record.owner) && isEmpty(ipam, record))
    .map(seen);
}

/**
 * Gives an empty block back; one that is not empty any more stays. That of another host goes only while that
 * host is not heard of: its owner alone knows what it is about to serve from it.
 * @throws WeftError as `change`
 */
export async function giveBackBlock(ipam: Ipam, { pool, cidr, owner }: SeenBlock): Promise<void> {
  const { keys, hostId } = ipam;
  const key = keys.block(pool, cidr);
  const plan = (reading: Reading): Plan<void> => {
    const block = blockBy(ipam, reading, key);
    if (block?.record.owner !== owner || !isEmpty(ipam, block.record)) return { done: undefined };
    if (owner !== hostId && reading.get(keys.alive(owner)) !== undefined) return { done: undefined };
    const conditions: Condition[] = [{ key, revision: block.revision }];
    if (owner !== hostId) conditions.push({ key: keys.alive(owner), revision: 0n });
    return {
      transaction: { conditions, writes: [{ delete: key }] },
      result: undefined,
      proof: { key, holds: (found) => found === undefined },
    };
  };
  await ipam.queue(pool, () => change(ipam, `give back block ${cidr} of subnet ${pool}`, plan));
}

/** The ids of those that own a block or have an address, whether or not they are heard of. */
export function hostsWithHoldings(ipam: Ipam): string[] {
  return [...new Set(readableBlocks(ipam).flatMap(({ record }) => holdersOf(record)))];
}

/** Blocks in which this host, which is gone, has addresses that no endpoint uses. */
export function abandonedBlocks(ipam: Ipam, host: string): SeenBlock[] {
  const reading = new Reading(ipam.store, ipam.mirror);
  return readableBlocks(ipam)
    .filter(({ record }) => Object.values(record.assigned).some((holder) => holder.host === host))
    .filter((block) => withoutAbandoned(ipam, reading, block, host) !== undefined)
    .map(seen);
}

/**
 * Takes back what a host that is gone had been given of a block and no endpoint uses; nothing when it is heard of
 * again. A host that returns cannot use what it lost: no endpoint is made without confirming its addresses.
 * @throws WeftError as `change`
 */
export async function reclaimAddresses(ipam: Ipam, { pool, cidr }: SeenBlock, host: string): Promise<void> {
  const { keys } = ipam;
  const key = keys.block(pool, cidr);
  const plan = (reading: Reading): Plan<void> => {
    const block = blockBy(ipam, reading, key);
    const alive = keys.alive(host);
    if (block === undefined || reading.get(alive) !== undefined) return { done: undefined };
    const left = withoutAbandoned(ipam, reading, block, host);
    if (left === undefined) return { done: undefined };
    const value = records.block.render(left.record);
    return {
      transaction: {
        conditions: [{ key, revision: block.revision }, { key: alive, revision: 0n }, ...left.conditions],
        writes: [{ put: key, value }],
      },
      result: undefined,
      proof: { key, holds: (found) => found?.value === value },
    };
  };
  await ipam.queue(pool, () => change(ipam, `reclaim addresses of block ${cidr} of subnet ${pool}`, plan));
}

/** Blocks that this host owns, or has addresses of. */
export function blocksWith(ipam: Ipam, host: string): SeenBlock[] {
  return readableBlocks(ipam)
    .filter(({ record }) => holdersOf(record).includes(host))
    .map(seen);
}

/**
 * Takes from a host that is gone for good all that it has of a block: its addresses, used or not, and the block.
 * That goes to whoever has addresses of it, so that they are still routed as a block; to nobody where none has.
 * Nothing happens while the host is heard of.
 * @throws WeftError as `change`
 */
export async function disinherit(ipam: Ipam, { pool, cidr }: SeenBlock, host: string): Promise<void> {
  const { keys, hostId, now } = ipam;
  const key = keys.block(pool, cidr);
  const plan = (reading: Reading): Plan<void> => {
    const block = blockBy(ipam, reading, key);
    const alive = keys.alive(host);
    if (block === undefined || reading.get(alive) !== undefined) return { done: undefined };
    const { owner, assigned } = block.record;
    const own = Object.keys(assigned).filter((offset) => assigned[offset]?.host === host);
    if (owner !== host && own.length === 0) return { done: undefined };
    const left = own.reduce((record, offset) => free(record, Number(offset), now()), touch(block.record));
    const [heir] = Object.values(left.assigned).map((holder) => holder.host);
    const isKept = Object.keys(left.reserved ?? {}).length > 0;
    const next = owner !== host ? owner : (heir ?? (isKept ? hostId : undefined));
    const value = next === undefined ? undefined : records.block.render({ ...left, owner: next });
    return {
      transaction: {
        conditions: [
          { key, revision: block.revision },
          { key: alive, revision: 0n },
        ],
        writes: [value === undefined ? { delete: key } : { put: key, value }],
      },
      result: undefined,
      proof: { key, holds: (found) => found?.value === value },
    };
  };
  await ipam.queue(pool, () => change(ipam, `take block ${cidr} of subnet ${pool} from host ${host}`, plan));
}

/**
 * The block without what the host holds for no endpoint, and on what that rests besides the block; undefined:
 * there is nothing of the kind, or it cannot be told, as with a record of a newer weft.
 */
function withoutAbandoned(
  { keys, now }: Ipam,
  reading: Reading,
  { prefix, record }: HeldBlock,
  host: string,
): { readonly record: Block; readonly conditions: readonly Condition[] } | undefined {
  const pool = reading.get(keys.pool(record.pool));
  if (pool === undefined) return undefined;
  const conditions: Condition[] = [{ key: pool.key, revision: pool.revision }];
  const used = new Set<string>();
  try {
    const { network } = records.pool.parse(pool.value);
    if (network !== undefined) {
      const endpoints = keys.endpoints(network);
      for (const { value } of reading.entries(endpoints)) {
        for (const address of records.endpoint.parse(value).addresses) used.add(address);
      }
      conditions.push({ prefix: endpoints, unchangedSince: reading.revision(endpoints) });
    }
  } catch (error) {
    if (error instanceof WeftError && error.code === 'invalid') return undefined;
    throw error;
  }
  const textOf = (offset: number) =>
    printAddress({ family: prefix.family, value: prefix.first + BigInt(offset) });
  const abandoned = Object.entries(record.assigned)
    .filter(([, holder]) => holder.host === host)
    .map(([offset]) => Number(offset))
    .filter((offset) => !used.has(textOf(offset)));
  if (abandoned.length === 0) return undefined;
  return { record: abandoned.reduce((block, offset) => free(block, offset, now()), record), conditions };
}

function isEmpty({ now, restMs }: Ipam, block: Block): boolean {
  const taken = { ...block.assigned, ...block.reserved };
  if (Object.keys(taken).length > 0) return false;
  const isLong = longAgo(now(), Math.max(restMs, emptyGraceMs));
  return block.freed.every((offset) => isLong(freedMs(block, offset)));
}

function readableBlocks({ mirror, keys }: Ipam): HeldBlock[] {
  return Array.from(mirror.entries(keys.allBlocks), (entry) => knownBlock(keys, entry)).filter(
    (block) => block?.record !== undefined,
  );
}

function blockBy({ keys }: Ipam, reading: Reading, key: string): HeldBlock | undefined {
  const entry = reading.get(key);
  const block = entry && knownBlock(keys, entry);
  return block?.record === undefined ? undefined : block;
}

function seen({ record: { pool, cidr, owner, sequence } }: HeldBlock): SeenBlock {
  return { pool, cidr, owner, sequence };
}
