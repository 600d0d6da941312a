/** Pools and blocks as a reading of the store shows them, parsed. */
import { WeftError } from '../errors.ts';
import { type Prefix, parseAddress, parsePrefix } from '../model/address.ts';
import type { Block } from '../model/block-record.ts';
import { type PoolName, parsePoolName } from '../model/pool-name.ts';
import { type Pool, type PoolReference, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Entry } from '../store/store.ts';
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

/** The blocks that hosts have claimed of the pool, in no particular order. */
export function blocksOf(reading: Reading, keys: Keys, pool: string): KnownBlock[] {
  return reading
    .entries(keys.blocks(pool))
    .map((entry) => knownBlock(keys, entry))
    .filter((block) => block !== undefined);
}

/** Parsing costs more than all the arithmetic; an entry never changes, so it is done once. */
const parsed = new WeakMap<Entry, KnownBlock>();

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

export function unknownPool(cidr: string): WeftError {
  return new WeftError(
    'not-found',
    `subnet ${cidr} is not in use in this cluster any more: remove the network and create it again`,
  );
}
