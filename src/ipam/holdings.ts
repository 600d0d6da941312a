/** Pools and blocks as a reading of the store shows them, parsed. */
import { WeftError } from '../errors.ts';
import { type Prefix, parseAddress, parsePrefix } from '../model/address.ts';
import { type Block, type Claim, claimOf } from '../model/block-record.ts';
import { type PoolName, parsePoolName } from '../model/pool-name.ts';
import { type Pool, type PoolReference, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Entry, Write } from '../store/store.ts';
import type { Ipam } from './ipam.ts';
import { type Cut, cut } from './pool.ts';
import type { Reading } from './reading.ts';

/** Docker's PoolID: which RequestPool, of which pool. */
export interface PoolId extends PoolName {
  readonly reference: string;
  /** Of the pool. */
  readonly name: string;
}

export function printPoolId(reference: string, pool: string): string {
  return `${reference}@${pool}`;
}

/** Undefined: not one that weft has made. */
export function parsePoolId(text: string): PoolId | undefined {
  const end = text.indexOf('@');
  if (end <= 0) return undefined;
  const name = text.slice(end + 1);
  try {
    return { reference: text.slice(0, end), name, ...parsePoolName(name) };
  } catch (error) {
    if (error instanceof WeftError && error.code === 'invalid') return undefined;
    throw error;
  }
}

export interface HeldPool {
  readonly name: string;
  readonly cidr: string;
  readonly prefix: Cut;
  readonly key: string;
  readonly revision: bigint;
  readonly record: Pool;
  /** Gateway and reserved addresses: nobody gets them who does not ask for them by name, if at all. */
  readonly keptBack: ReadonlySet<bigint>;
}

/** What all hosts are told of a block. */
export interface HeldClaim {
  readonly entry: Entry;
  /** Of the block itself. */
  readonly key: string;
  readonly prefix: Prefix;
  /** Undefined: damaged, or of a newer weft. */
  readonly record: Claim | undefined;
}

/** A block of a pool as the store has it. */
export interface HeldBlock {
  readonly key: string;
  readonly prefix: Prefix;
  /** `0n`: nobody has claimed it. */
  readonly revision: bigint;
  readonly record: Block;
}

/** A block whose record is damaged or of a newer weft: claimed, but nobody is served from it here. */
export type KnownBlock = HeldBlock | (Omit<HeldBlock, 'record'> & { readonly record: undefined });

/** An entry never changes, so what it says is worked out once. */
const heldPools = new WeakMap<Entry, HeldPool>();

/** @throws WeftError `not-found`; `conflict` when its record cannot be read */
export function poolOf(
  reading: Reading,
  keys: Keys,
  { name, cidr, prefix }: Omit<PoolId, 'reference'>,
): HeldPool {
  const key = keys.pool(name);
  const entry = reading.get(key);
  if (entry === undefined) throw unknownPool(cidr);
  const known = heldPools.get(entry);
  if (known !== undefined) return known;
  const record = readPool(cidr, entry);
  const { gateway, reserved, reservedFor = {} } = record;
  const kept = [...reserved, ...Object.keys(reservedFor), ...(gateway === undefined ? [] : [gateway])];
  const pool = {
    name,
    cidr,
    prefix: cut(prefix, record.blockSize),
    key,
    revision: entry.revision,
    record,
    keptBack: new Set(kept.map((text) => parseAddress(text).value)),
  };
  heldPools.set(entry, pool);
  return pool;
}

/** @throws WeftError `conflict` when it cannot be read */
export function readPool(cidr: string, entry: Entry): Pool {
  try {
    return records.pool.parse(entry.value);
  } catch (cause) {
    throw new WeftError(
      'conflict',
      `subnet ${cidr} cannot be used, because its record is damaged or of a newer weft: choose another --subnet, or run the same weft on all hosts`,
      { cause },
    );
  }
}

/** @throws WeftError `not-found` | `invalid` */
export function referenceOf(reading: Reading, keys: Keys, { reference, name, cidr }: PoolId): PoolReference {
  const entry = reading.get(keys.reference(name, reference));
  if (entry === undefined) throw unknownPool(cidr);
  return records.poolReference.parse(entry.value);
}

/** Parsing costs more than all the arithmetic; an entry never changes, so it is done once. */
const parsedClaims = new WeakMap<Entry, HeldClaim>();
const parsed = new WeakMap<Entry, KnownBlock>();

/** The blocks that hosts have claimed of the pool, in no particular order. */
export function claimsOf(reading: Reading, keys: Keys, pool: string): HeldClaim[] {
  return reading.entries(keys.claims(pool)).flatMap((entry) => heldClaim(keys, entry) ?? []);
}

/** Undefined: the key is not one of a claim. */
export function heldClaim(keys: Keys, entry: Entry): HeldClaim | undefined {
  const known = parsedClaims.get(entry);
  if (known !== undefined) return known;
  const place = keys.parse(entry.key);
  if (place?.kind !== 'claim') return undefined;
  const claim = {
    entry,
    key: keys.block(place.pool, place.block),
    prefix: parsePrefix(place.block),
    record: records.claim.read(entry.value),
  };
  parsedClaims.set(entry, claim);
  return claim;
}

/** The blocks of these claims that can be read. @throws as `Reading.blocks` */
export function blocksOf(reading: Reading, claims: readonly HeldClaim[]): HeldBlock[] {
  return reading.blocks(claims).flatMap((entry, nth) => {
    const claim = claims[nth];
    const block = entry && claim && blockIn(entry, claim.prefix);
    return block?.record === undefined ? [] : [block];
  });
}

/** Undefined: the key is not one of a block. */
export function knownBlock(keys: Keys, entry: Entry): KnownBlock | undefined {
  const known = parsed.get(entry);
  if (known !== undefined) return known;
  const place = keys.parse(entry.key);
  return place?.kind === 'block' ? blockIn(entry, parsePrefix(place.block)) : undefined;
}

/** The same of an entry whose key is that of the block with this prefix. */
export function blockIn(entry: Entry, prefix: Prefix): KnownBlock {
  const known = parsed.get(entry);
  if (known !== undefined) return known;
  const { key, revision, value } = entry;
  const block = { key, prefix, revision, record: records.block.read(value) };
  parsed.set(entry, block);
  return block;
}

/** The block, if it can be read; undefined too when nobody has claimed it. @throws as `Reading.block` */
export function readableBlock(reading: Reading, pool: string, cidr: string): HeldBlock | undefined {
  const entry = reading.block(pool, cidr);
  const block = entry && blockIn(entry, parsePrefix(cidr));
  return block?.record === undefined ? undefined : block;
}

/** Claims of all pools, of which something is to be so. */
export function claimsWhere({ mirror, keys }: Ipam, isSo: (claim: Claim) => boolean): HeldClaim[] {
  return [...mirror.entries(keys.allClaims)].flatMap((entry) => {
    const claim = heldClaim(keys, entry);
    return claim?.record !== undefined && isSo(claim.record) ? [claim] : [];
  });
}

/** What makes a block what the record says. */
export interface BlockWriting {
  /** Of the block. */
  readonly value: string;
  /** Of the block, and of its claim where that is to be told (`model/block-record.ts`). */
  readonly writes: readonly Write[];
}

export function writingOf(
  { keys, hostId }: Ipam,
  { key, revision, record: before }: HeldBlock,
  record: Block,
): BlockWriting {
  const value = records.block.render(record);
  const block: Write = { put: key, value };
  const claim = claimOf(record);
  const isTold = revision !== 0n && JSON.stringify(claimOf(before)) === JSON.stringify(claim);
  if (isTold && record.owner === hostId) return { value, writes: [block] };
  const put = keys.claim(record.pool, record.cidr);
  return { value, writes: [block, { put, value: records.claim.render(claim) }] };
}

export function unknownPool(cidr: string): WeftError {
  return new WeftError(
    'not-found',
    `subnet ${cidr} is not in use in this cluster any more: remove the network and create it again`,
  );
}
