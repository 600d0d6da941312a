/**
 * A pool, which is a subnet, as blocks by index. All of it is arithmetic: a /8 has 262,144 blocks and an
 * IPv6 /64 has 2^58, so nothing here walks over more of them than are claimed.
 */
import { WeftError } from '../errors.ts';
import {
  type Address,
  contains,
  families,
  lastOf,
  type Prefix,
  prefixOf,
  prefixSize,
  printAddress,
  printPrefix,
} from '../model/address.ts';
import type { Window } from './block.ts';

/** A pool, and how it is cut. */
export interface Cut extends Prefix {
  /** Prefix length of its blocks; absent: the usual one. */
  readonly blockLength?: number;
}

/** @param blockSize a power of two; undefined: the usual one */
export function cut(pool: Prefix, blockSize: number | undefined): Cut {
  if (blockSize === undefined) return pool;
  return { ...pool, blockLength: families[pool.family].bits - Math.log2(blockSize) };
}

/** Addresses from `first` to `last`, both included. Empty when `last < first`. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

export function spanOf(prefix: Prefix): Span {
  return { first: prefix.first, last: lastOf(prefix) };
}

/**
 * What containers and gateways can have. The first address of a subnet is its network address (IPv4) or its
 * subnet-router anycast address (IPv6), the last one of an IPv4 subnet its broadcast address. A subnet of
 * one or two addresses has neither (RFC 3021, RFC 6164).
 */
export function usable(pool: Prefix): Span {
  const { first, last } = spanOf(pool);
  if (prefixSize(pool) <= 2n) return { first, last };
  return { first: first + 1n, last: families[pool.family].hasBroadcast ? last - 1n : last };
}

/** @throws WeftError `invalid` when the address is not one that `usable` spans. */
export function refuseUnusable(pool: Prefix, address: Address): void {
  const { first, last } = usable(pool);
  const { value } = address;
  if (contains(pool, address) && value >= first && value <= last) return;
  const { firstAddress } = families[pool.family];
  const place = !contains(pool, address)
    ? 'not in'
    : `the ${value < first ? firstAddress : 'broadcast address'} of`;
  const print = (at: bigint) => printAddress({ family: pool.family, value: at });
  throw new WeftError(
    'invalid',
    `address ${printAddress(address)} is ${place} subnet ${printPrefix(pool)}: choose one from ${print(first)} to ${print(last)}`,
  );
}

export function intersect(a: Span, b: Span): Span {
  const startsLater = a.first < b.first ? b : a;
  const endsSooner = a.last < b.last ? a : b;
  return { first: startsLater.first, last: endsSooner.last };
}

/** How many addresses of the span are not kept back. */
export function countWithin(span: Span, keptBack: ReadonlySet<bigint>): bigint {
  const within = [...keptBack].filter((address) => address >= span.first && address <= span.last);
  const size = span.last - span.first + 1n;
  return size <= 0n ? 0n : size - BigInt(within.length);
}

/** The block of the pool that the address lies in: a /26 or /122 usually, or the whole of a smaller pool. */
export function blockOf(pool: Cut, address: bigint): Prefix {
  const { family, length, blockLength = families[family].blockLength } = pool;
  return prefixOf({ family, value: address }, Math.max(length, blockLength));
}

export function countBlocks(pool: Cut): bigint {
  return prefixSize(pool) / prefixSize(blockOf(pool, pool.first));
}

/** The part of the span that lies in the block, as offsets. */
export function windowOf(block: Prefix, span: Span, keptBack: ReadonlySet<bigint>): Window {
  const { first, last } = intersect(spanOf(block), span);
  const offset = (address: bigint) => Number(address - block.first);
  const within = [...keptBack].filter((address) => contains(block, { family: block.family, value: address }));
  return { first: offset(first), last: offset(last), except: new Set(within.map(offset)) };
}

/**
 * The `nth` lowest (from 0, counted around) of the blocks in the span that nobody has claimed and that have
 * something to hand out; undefined when there is none.
 * @param claimed first addresses of the claimed blocks
 */
export function unclaimedBlock(
  pool: Cut,
  of: { readonly span: Span; readonly keptBack: ReadonlySet<bigint>; readonly claimed: Iterable<bigint> },
  nth: number,
): Prefix | undefined {
  const { span, keptBack } = of;
  if (span.last < span.first) return undefined;
  const lowest = blockOf(pool, span.first);
  const highest = blockOf(pool, span.last);
  const size = prefixSize(lowest);

  const passed = new Set(of.claimed);
  for (const address of keptBack) {
    const block = blockOf(pool, address);
    if (countWithin(intersect(spanOf(block), span), keptBack) === 0n) passed.add(block.first);
  }
  const within = [...passed].filter((first) => first >= lowest.first && first <= highest.first);
  const count = (highest.first - lowest.first) / size + 1n - BigInt(within.length);
  if (count === 0n) return undefined;

  // Every claimed block at or below the candidate moves it up by one.
  let candidate = lowest.first + (BigInt(nth) % count) * size;
  for (const first of within.sort(ascending)) if (first <= candidate) candidate += size;
  return blockOf(pool, candidate);
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
