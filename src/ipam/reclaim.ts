/**
 * What goes back to the pool though no call of Docker's says so: blocks from which nobody is served, spare addresses
 * that others need, and what a host that is gone has borrowed and no endpoint of it uses. In blocks of its own it
 * keeps everything, and elsewhere what its endpoints have: it may only be cut off, its containers running, and giving
 * more of its own to others.
 *
 * Here is what may be taken, and the transaction that takes it, which holds only if it still may be. That it was so
 * for a while is for the caller to see.
 */
import { printAddress } from '../model/address.ts';
import { type Block, type Claim, holdersOf, hostOf, offsetsIn, withOwner } from '../model/block-record.ts';
import { parsePoolName } from '../model/pool-name.ts';
import { records } from '../model/records.ts';
import type { Plan } from '../store/settle.ts';
import type { Condition, Write } from '../store/store.ts';
import { free, freedMs, longAgo, withoutSpare } from './block.ts';
import {
  blocksOf,
  claimsWhere,
  type HeldBlock,
  type HeldClaim,
  poolOf,
  readableBlock,
  writingOf,
} from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { countBlocks } from './pool.ts';
import { change, look, type Reading } from './reading.ts';
import { hasRoom } from './vacancies.ts';

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
export function emptyBlocks(ipam: Ipam, isOwner: (hostId: string) => boolean): Promise<SeenBlock[]> {
  const claims = claimsWhere(ipam, ({ owner }) => isOwner(owner));
  return seenAmong(ipam, claims, (block) => isEmpty(ipam, block));
}

/**
 * Gives an empty block back; one that is not empty any more stays. That of another host goes only while that
 * host is not heard of: its owner alone knows what it is about to serve from it.
 * @throws WeftError as `change`
 */
export async function giveBackBlock(ipam: Ipam, { pool, cidr, owner }: SeenBlock): Promise<void> {
  const { keys, hostId } = ipam;
  const plan = (reading: Reading): Plan<void> => {
    const block = readableBlock(reading, pool, cidr);
    if (block?.record.owner !== owner || !isEmpty(ipam, block)) return { done: undefined };
    if (owner !== hostId && reading.get(keys.alive(owner)) !== undefined) return { done: undefined };
    const { key, revision } = block;
    const conditions: Condition[] = [{ key, revision }];
    if (owner !== hostId) conditions.push({ key: keys.alive(owner), revision: 0n });
    return {
      transaction: { conditions, writes: noBlock(ipam, block) },
      result: undefined,
      proof: { key, holds: (found) => found === undefined },
    };
  };
  await ipam.queue(pool, () => change(ipam, `give back block ${cidr} of subnet ${pool}`, plan));
}

/** Own blocks that have nothing free but spare ones, of pools that have no block left for others to claim. */
export function crampedBlocks(ipam: Ipam): Promise<SeenBlock[]> {
  const claims = claimsWhere(ipam, ({ owner }) => owner === ipam.hostId);
  return seenAmong(ipam, claims, (block, reading) => isCramped(ipam, reading, block));
}

/** Makes the spare ones of such a block anybody's. @throws WeftError as `change` */
export async function giveUpSpares(ipam: Ipam, { pool, cidr }: SeenBlock): Promise<void> {
  const plan = (reading: Reading): Plan<void> => {
    const block = readableBlock(reading, pool, cidr);
    if (block === undefined || !isCramped(ipam, reading, block)) return { done: undefined };
    const { key, revision } = block;
    const { value, writes } = writingOf(ipam, block, withoutSpare(block.record));
    return {
      transaction: { conditions: [{ key, revision }], writes },
      result: undefined,
      proof: { key, holds: (found) => found?.value === value },
    };
  };
  await ipam.queue(pool, () => change(ipam, `give up spare addresses of block ${cidr}`, plan));
}

function isCramped(ipam: Ipam, reading: Reading, block: HeldBlock): boolean {
  const { keys, hostId, spares } = ipam;
  const { key, record } = block;
  if (record.owner !== hostId || record.spare === undefined || record.spare.length === 0) return false;
  // What is given is announced first.
  if (Object.keys(spares.get(key)?.given ?? {}).length > 0) return false;
  const name = { name: record.pool, ...parsePoolName(record.pool) };
  if (records.pool.read(reading.get(keys.pool(record.pool))?.value) === undefined) return false;
  const pool = poolOf(reading, keys, name);
  if (hasRoom(block, pool)) return false;
  return BigInt(reading.entries(keys.claims(record.pool)).length) >= countBlocks(pool.prefix);
}

/** The ids of those that own a block or have an address, whether or not they are heard of. */
export function hostsWithHoldings(ipam: Ipam): string[] {
  const claims = claimsWhere(ipam, () => true);
  return [...new Set(claims.flatMap(({ record }) => (record === undefined ? [] : holdersOf(record))))];
}

/** Blocks of others in which this host, which is gone, has addresses that no endpoint uses. */
export function abandonedBlocks(ipam: Ipam, host: string): Promise<SeenBlock[]> {
  const claims = claimsWhere(ipam, (claim) => claim.owner !== host && holdersOf(claim).includes(host));
  return seenAmong(
    ipam,
    claims,
    (block, reading) => withoutAbandoned(ipam, reading, block, host) !== undefined,
  );
}

/**
 * Takes back what a host that is gone has borrowed of a block and no endpoint uses; nothing when it is heard of
 * again. A host that returns cannot use what it lost: no endpoint is made with what is not its own without confirming it.
 * @throws WeftError as `change`
 */
export async function reclaimAddresses(ipam: Ipam, { pool, cidr }: SeenBlock, host: string): Promise<void> {
  const { keys } = ipam;
  const plan = (reading: Reading): Plan<void> => {
    const block = readableBlock(reading, pool, cidr);
    const alive = keys.alive(host);
    if (block === undefined || reading.get(alive) !== undefined) return { done: undefined };
    const left = withoutAbandoned(ipam, reading, block, host);
    if (left === undefined) return { done: undefined };
    const { key, revision } = block;
    const { value, writes } = writingOf(ipam, block, left.record);
    return {
      transaction: {
        conditions: [{ key, revision }, { key: alive, revision: 0n }, ...left.conditions],
        writes,
      },
      result: undefined,
      proof: { key, holds: (found) => found?.value === value },
    };
  };
  await ipam.queue(pool, () => change(ipam, `reclaim addresses of block ${cidr} of subnet ${pool}`, plan));
}

/** Blocks that the host owns, or has addresses of. */
export function blocksWith(ipam: Ipam, host: string): Claim[] {
  return claimsWhere(ipam, (claim) => holdersOf(claim).includes(host)).flatMap(({ record }) => record ?? []);
}

/**
 * Takes from a host that is gone for good all that it has of a block: its addresses, used or not, and the block.
 * That goes to whoever has addresses of it, so that they are still routed as a block; to nobody where none has.
 * Nothing happens while the host is heard of.
 * @throws WeftError as `change`
 */
export async function disinherit(ipam: Ipam, { pool, cidr }: Claim, host: string): Promise<void> {
  const { keys, hostId, now } = ipam;
  const plan = (reading: Reading): Plan<void> => {
    const block = readableBlock(reading, pool, cidr);
    const alive = keys.alive(host);
    if (block === undefined || reading.get(alive) !== undefined) return { done: undefined };
    const { owner } = block.record;
    const own = offsetsIn(block.record, host);
    if (owner !== host && own.length === 0) return { done: undefined };
    // What it held for containers that it would start is nobody's, too.
    const given = owner === host ? withoutSpare(block.record) : block.record;
    const left = own.reduce((record, offset) => free(record, offset, now()), given);
    const [heir] = offsetsIn(left).map((offset) => hostOf(left, offset));
    const isKept = Object.keys(left.reserved ?? {}).length > 0;
    const next = owner !== host ? owner : (heir ?? (isKept ? hostId : undefined));
    const { key, revision } = block;
    const { value, writes } =
      next === undefined
        ? { value: undefined, writes: noBlock(ipam, block) }
        : writingOf(ipam, block, withOwner(left, next));
    return {
      transaction: {
        conditions: [
          { key, revision },
          { key: alive, revision: 0n },
        ],
        writes,
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
  const bound = records.pool.read(pool.value);
  if (bound === undefined || record.owner === host) return undefined;
  if (bound.network !== undefined) {
    const endpoints = keys.endpoints(bound.network);
    for (const { value } of reading.entries(endpoints)) {
      const endpoint = records.endpoint.read(value);
      if (endpoint === undefined) return undefined;
      for (const address of endpoint.addresses) used.add(address);
    }
    conditions.push({ prefix: endpoints, unchangedSince: reading.revision(endpoints) });
  }
  const textOf = (offset: number) =>
    printAddress({ family: prefix.family, value: prefix.first + BigInt(offset) });
  const abandoned = offsetsIn(record, host).filter((offset) => !used.has(textOf(offset)));
  if (abandoned.length === 0) return undefined;
  return { record: abandoned.reduce((block, offset) => free(block, offset, now()), record), conditions };
}

/** Spare ones are nobody's, but as far as anybody can tell who is not the owner. */
function isEmpty({ hostId, spares, now, restMs }: Ipam, { key, record }: HeldBlock): boolean {
  const spare = record.owner === hostId ? Object.keys(spares.get(key)?.given ?? {}) : (record.spare ?? []);
  const taken = { ...record.assigned, ...record.reserved };
  if (spare.length + Object.keys(taken).length > 0) return false;
  // The others were given back before it, whatever clocks said at the time.
  const last = record.freed.at(-1);
  return last === undefined || longAgo(now(), Math.max(restMs, emptyGraceMs))(freedMs(record, last));
}

function noBlock({ keys }: Ipam, { key, record: { pool, cidr } }: HeldBlock): Write[] {
  return [{ delete: key }, { delete: keys.claim(pool, cidr) }];
}

/** Those of the claimed blocks of which something is so. */
function seenAmong(
  ipam: Ipam,
  claims: readonly HeldClaim[],
  isSo: (block: HeldBlock, reading: Reading) => boolean,
): Promise<SeenBlock[]> {
  return look(ipam, (reading) =>
    blocksOf(reading, claims)
      .filter((block) => isSo(block, reading))
      .map(({ record: { pool, cidr, owner, sequence } }) => ({ pool, cidr, owner, sequence })),
  );
}
