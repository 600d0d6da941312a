/**
 * Addresses of containers. A host serves its own from the blocks it owns: one transaction, which no other
 * host's allocation disturbs. When those are full it claims another block; when there is none left, it
 * borrows single addresses from blocks of other hosts (the assignment's host is then not the block's owner).
 *
 * A transaction that gives an address away holds only while block and pool are as they were read: the block,
 * so that no address is given twice; the pool, so that it is still there, with that gateway and those
 * reserved addresses.
 *
 * A host keeps itself provided with spare ones (`provision.ts`), by the same transactions.
 */
import { WeftError } from '../errors.ts';
import { type Address, contains, parseAddress, printAddress } from '../model/address.ts';
import { type Block, holderOf, holdersOf, offsetsIn } from '../model/block-record.ts';
import { parsePoolName } from '../model/pool-name.ts';
import type { Plan } from '../store/settle.ts';
import type { Condition, Entry, Write } from '../store/store.ts';
import { assign, free, isSpare, reservationOf, touch, unreserve } from './block.ts';
import {
  blocksOf,
  claimsWhere,
  type HeldBlock,
  type HeldPool,
  knownBlock,
  type PoolId,
  parsePoolId,
  poolOf,
  referenceOf,
  unknownPool,
  writingOf,
} from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { nextPlace } from './next-place.ts';
import { releaseSpare } from './outage.ts';
import { blockAt, type Place, wantedPlace } from './place.ts';
import { withSpares } from './provision.ts';
import { change, look, type Reading } from './reading.ts';

/** An address that a host has, whatever for. */
export interface HeldAddress {
  /** Its name. */
  readonly pool: string;
  /** Canonical text, without prefix length. */
  readonly address: string;
  /** Which request it was given to. */
  readonly operation: string;
  /** Milliseconds since 1970, of the clock of the host that has it. */
  readonly sinceMs: number;
}

/**
 * Gives an address to this host. One that this host holds and no endpoint uses is adopted: daemons crash
 * between asking and using, and swarm asks twice.
 * @param wanted any address of the pool; absent: the next free one, within the reference's range
 * @param mac of the container, if it is known: what it had before, it gets again where that is free
 * @returns canonical text, without prefix length
 * @throws WeftError `invalid` | `conflict` (in use, gateway, reserved) | `exhausted` | `not-found` (pool),
 *   and as `change`
 */
export async function assignAddress(
  ipam: Ipam,
  poolId: string,
  wanted?: string,
  mac?: string,
): Promise<string> {
  const { keys, queue } = ipam;
  const id = parsePoolId(poolId);
  if (id === undefined) throw unknownPool(poolId);
  const address = wanted === undefined ? undefined : parseAddress(wanted);
  const operation = ipam.randomId();

  const subject = `assign ${wanted === undefined ? 'an address' : `address ${wanted}`} of subnet ${id.cidr}`;
  return queue(id.name, () =>
    change(ipam, subject, (reading, conflicts) => {
      const pool = poolOf(reading, keys, id);
      const { range } = referenceOf(reading, keys, id);
      const place =
        address === undefined
          ? nextPlace(ipam, reading, { pool, range, mac }, conflicts)
          : wantedPlace(ipam, reading, pool, address);
      const record = assign(place.block.record, place.offset, {
        ...{ host: ipam.hostId, sinceMs: ipam.now(), operation },
        ...(mac !== undefined && { mac }),
      });
      const provided = withSpares(ipam, reading, { pool, range, block: place.block }, record);
      return planAssignment(ipam, pool, place, provided, operation);
    }),
  );
}

/**
 * Gives back an address that this host holds, or that is kept for a task through this pool id; any other is left as
 * it is. One that an endpoint of this host uses stays: Docker deletes the endpoint first, so this is a late copy of the call for an earlier container.
 * @throws WeftError `invalid` when the text is no address, and as `change`
 */
export async function releaseAddress(ipam: Ipam, poolId: string, text: string): Promise<void> {
  const pool = parsePoolId(poolId);
  const address = parseAddress(text);
  if (pool !== undefined && contains(pool.prefix, address)) await release(ipam, pool, address);
}

/**
 * Gives back what was found to be held for nobody; but not when the address has been given to another
 * request since it was looked at, whose endpoint may not exist yet.
 * @throws WeftError as `change`
 */
export async function releaseHeld(ipam: Ipam, { pool, address, operation }: HeldAddress): Promise<void> {
  await release(ipam, { name: pool, ...parsePoolName(pool) }, parseAddress(address), operation);
}

async function release(
  ipam: Ipam,
  pool: Omit<PoolId, 'reference'> & { readonly reference?: string },
  address: Address,
  operation?: string,
): Promise<void> {
  const { hostId, inUse, now, queue, vacancies } = ipam;
  const text = printAddress(address);
  if (await releaseSpare(ipam, pool.name, address, operation)) return;
  const plan = (reading: Reading): Plan<void> => {
    const block = blockAt(ipam, reading, pool, address.value);
    if (block?.record === undefined) return { done: undefined };
    if (block.record.owner === hostId) vacancies.add(pool.name, block);
    const offset = Number(address.value - block.prefix.first);
    const reservation = reservationOf(block.record, offset);
    if (reservation !== undefined && reservation.reference === pool.reference) {
      return planWrite(
        ipam,
        block,
        unreserve(block.record, offset, now()),
        (found) => reservationAt(ipam, found, offset) !== reservation.operation,
      );
    }
    const holder = holderOf(block.record, offset);
    if (inUse(pool.name, text) || holder?.host !== hostId) return { done: undefined };
    if (operation !== undefined && holder.operation !== operation) return { done: undefined };
    return planWrite(
      ipam,
      block,
      free(block.record, offset, now()),
      (found) => operationAt(ipam, found, offset) !== holder.operation,
    );
  };
  await queue(pool.name, () => change(ipam, `release address ${text} of subnet ${pool.cidr}`, plan));
}

function planWrite(
  ipam: Ipam,
  block: HeldBlock,
  record: Block,
  holds: (found: Entry | undefined) => boolean,
): Plan<void> {
  const { key, revision } = block;
  return {
    transaction: {
      conditions: [{ key, revision }],
      writes: writingOf(ipam, block, record).writes,
    },
    result: undefined,
    proof: { key, holds },
  };
}

/**
 * Every address that this host holds, as far as it knows: to be compared with the endpoints it has.
 * @throws WeftError when the store is needed for it, and away
 */
export async function assignments(ipam: Ipam): Promise<HeldAddress[]> {
  const { hostId } = ipam;
  const claims = claimsWhere(ipam, (claim) => holdersOf(claim).includes(hostId));
  const blocks = await look(ipam, (reading) => blocksOf(reading, claims));
  return blocks.flatMap((block) =>
    offsetsIn(block.record, hostId).flatMap((offset) => {
      const holder = holderOf(block.record, offset);
      if (holder === undefined) return [];
      const { operation, sinceMs } = holder;
      return [{ pool: block.record.pool, address: addressAt(block, offset), operation, sinceMs }];
    }),
  );
}

/**
 * Whether it is this host's, as far as it knows: assigned, or spare.
 * @throws WeftError when the store is needed for it, and away
 */
export async function isOwnAddress(ipam: Ipam, pool: string, text: string): Promise<boolean> {
  const { prefix } = parsePoolName(pool);
  const address = parseAddress(text);
  const block = await look(ipam, (reading) => blockAt(ipam, reading, { name: pool, prefix }, address.value));
  return (
    block?.record !== undefined &&
    confirmed(ipam, block, Number(address.value - block.prefix.first)) !== undefined
  );
}

/**
 * The second step of claiming an address: what the transaction that announces its endpoint has to contain. It
 * holds only while this host has the address, and writes its block, so that whatever was planned before to take
 * the address back, and may still be under way, comes to nothing. One that was given while the store was away is
 * assigned by it.
 * @param pools names of the network's
 * @throws WeftError `conflict` when this host does not have it (any more)
 */
export function confirmation(
  ipam: Ipam,
  reading: Reading,
  pools: readonly string[],
  text: string,
): { readonly condition: Condition; readonly writes: readonly Write[] } {
  const address = parseAddress(text);
  for (const name of pools) {
    const { prefix } = parsePoolName(name);
    if (!contains(prefix, address)) continue;
    const block = blockAt(ipam, reading, { name, prefix }, address.value);
    if (block?.record === undefined) break;
    const record = confirmed(ipam, block, Number(address.value - block.prefix.first));
    if (record === undefined) break;
    return {
      condition: { key: block.key, revision: block.revision },
      writes: writingOf(ipam, block, record).writes,
    };
  }
  throw new WeftError(
    'conflict',
    `address ${text} is not held by this host any more, because too much time has passed since it was given out: start the container again`,
  );
}

/** Undefined: it is not this host's. */
function confirmed(ipam: Ipam, { key, record }: HeldBlock, offset: number): Block | undefined {
  const { hostId, spares, now, randomId } = ipam;
  if (holderOf(record, offset)?.host === hostId) return touch(record);
  if (record.owner !== hostId || !isSpare(record, offset)) return undefined;
  const given = spares.get(key)?.given[offset];
  return assign(record, offset, given ?? { host: hostId, operation: randomId(), sinceMs: now() });
}

function planAssignment(
  ipam: Ipam,
  pool: HeldPool,
  { block, offset }: Place,
  record: Block,
  operation: string,
): Plan<string> {
  return {
    transaction: {
      conditions: [
        { key: pool.key, revision: pool.revision },
        { key: block.key, revision: block.revision },
      ],
      writes: writingOf(ipam, block, record).writes,
    },
    result: addressAt(block, offset),
    proof: { key: block.key, holds: (found) => operationAt(ipam, found, offset) === operation },
  };
}

function operationAt({ keys }: Ipam, entry: Entry | undefined, offset: number): string | undefined {
  const record = entry && knownBlock(keys, entry)?.record;
  return record && holderOf(record, offset)?.operation;
}

function reservationAt({ keys }: Ipam, entry: Entry | undefined, offset: number): string | undefined {
  const record = entry && knownBlock(keys, entry)?.record;
  return record && reservationOf(record, offset)?.operation;
}

function addressAt({ prefix: { family, first } }: Pick<HeldBlock, 'prefix'>, offset: number): string {
  return printAddress({ family, value: first + BigInt(offset) });
}
