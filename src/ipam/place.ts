/** Where in a pool a wanted address lies; and the sentences when it cannot be had. */
import { WeftError } from '../errors.ts';
import { type Address, type Prefix, printAddress, printPrefix } from '../model/address.ts';
import { type Assignment, holderOf } from '../model/block-record.ts';
import { records } from '../model/records.ts';
import { isSpare, newBlock, reservationOf } from './block.ts';
import { blockIn, type HeldBlock, type HeldPool, type KnownBlock } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { blockOf, cut, refuseUnusable } from './pool.ts';
import type { Reading } from './reading.ts';

export interface Place {
  readonly block: HeldBlock;
  readonly offset: number;
}

/**
 * The place of an address that somebody asked for by name, in whosever block it lies. A block that nobody
 * has claimed is claimed by this host along with the address: a host that comes later and finds none left can
 * still borrow, so this never costs anybody an address, only a route; whereas to leave the block to others
 * would need a block without an owner, which every host's routes would have to allow for.
 * @throws WeftError `conflict` when it is the gateway, reserved, or in use; `invalid` as `placeOf`
 */
export function wantedPlace(ipam: Ipam, reading: Reading, pool: HeldPool, address: Address): Place {
  const text = printAddress(address);
  const place = namedPlace(ipam, reading, pool, address);
  const { record } = place.block;
  if (record.owner !== ipam.hostId) refuseSpare(ipam, place, text);
  // A spare one may be in use too, since the store was away.
  const holder =
    holderOf(record, place.offset) ?? (isSpare(record, place.offset) ? { host: record.owner } : undefined);
  const free = holder === undefined || (holder.host === ipam.hostId && !ipam.inUse(pool.name, text));
  if (!free) throw addressInUse(ipam, text, holder);
  return place;
}

/**
 * The place of an address that swarm's manager asks for by name: what it, or another manager before it, had chosen.
 * A task may run with it.
 * @throws WeftError as `wantedPlace`
 */
export function taskPlace(ipam: Ipam, reading: Reading, pool: HeldPool, address: Address): Place {
  const place = namedPlace(ipam, reading, pool, address);
  const { block, offset } = place;
  refuseSpare(ipam, place, printAddress(address));
  const holder = holderOf(block.record, offset);
  if (holder === undefined || reservationOf(block.record, offset) !== undefined) return place;
  throw addressInUse(ipam, printAddress(address), holder);
}

/** @throws WeftError `conflict` when it is the gateway or set aside; `invalid` as `placeOf` */
function namedPlace(ipam: Ipam, reading: Reading, pool: HeldPool, address: Address): Place {
  const text = printAddress(address);
  const { cidr, record } = pool;
  if (record.gateway === text) {
    throw new WeftError('conflict', `address ${text} is the gateway of subnet ${cidr}: choose another`);
  }
  if (record.reserved.includes(text)) {
    throw new WeftError(
      'conflict',
      `address ${text} is set aside in subnet ${cidr} (--aux-address): choose another`,
    );
  }
  return placeOf(ipam, reading, pool, address);
}

/** What is known of the block in which the address lies; undefined: nobody has claimed it. */
export function blockAt(
  { keys }: Ipam,
  reading: Reading,
  pool: Pick<HeldPool, 'name' | 'prefix'>,
  address: bigint,
): KnownBlock | undefined {
  // Where it cannot be read, nobody is served from its blocks.
  const blockSize = records.pool.read(reading.get(keys.pool(pool.name))?.value)?.blockSize;
  const block = blockOf(cut(pool.prefix, blockSize), address);
  const entry = reading.block(pool.name, printPrefix(block));
  return entry && blockIn(entry, block);
}

/** A block that nobody has claimed, as this host claims it. */
export function unclaimed({ keys, hostId }: Ipam, { name: pool }: HeldPool, prefix: Prefix): HeldBlock {
  const cidr = printPrefix(prefix);
  return {
    key: keys.block(pool, cidr),
    prefix,
    revision: 0n,
    record: newBlock({ pool, cidr, owner: hostId }),
  };
}

/**
 * The place of an address of the pool, whoever has it.
 * @throws WeftError `invalid` when it is no address for a container or gateway; `conflict` when the block
 *   cannot be read
 */
export function placeOf(ipam: Ipam, reading: Reading, pool: HeldPool, address: Address): Place {
  const { prefix } = pool;
  refuseUnusable(prefix, address);
  const block =
    blockAt(ipam, reading, pool, address.value) ?? unclaimed(ipam, pool, blockOf(prefix, address.value));
  if (block.record === undefined) {
    throw new WeftError(
      'conflict',
      `address ${printAddress(address)} cannot be had, because the record of block ${printPrefix(block.prefix)} is damaged or of a newer weft: choose another, or run the same weft on all hosts`,
    );
  }
  return { block, offset: Number(address.value - block.prefix.first) };
}

/** @throws WeftError `conflict` that names the host which keeps it for itself */
export function refuseSpare({ hostName }: Ipam, { block: { record }, offset }: Place, address: string): void {
  if (!isSpare(record, offset)) return;
  throw new WeftError(
    'conflict',
    `address ${address} is held for containers that host ${hostName(record.owner)} starts while the store is away: choose another`,
  );
}

export function addressInUse(
  { hostName }: Ipam,
  address: string,
  { host }: Pick<Assignment, 'host'>,
): WeftError {
  return new WeftError(
    'conflict',
    `address ${address} is in use on host ${hostName(host)}: choose another, or remove the container that has it`,
  );
}
