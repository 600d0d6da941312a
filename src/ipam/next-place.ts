/** Where in a pool the next address comes from; and the sentence when there is none. */
import { WeftError } from '../errors.ts';
import { parsePrefix, printAddress } from '../model/address.ts';
import {
  freedBy,
  freedMs,
  heldFor,
  isSpare,
  isWithin,
  longAgo,
  nextFree,
  type Rested,
  type Window,
} from './block.ts';
import { blocksOf, claimsOf, type HeldBlock, type HeldPool, knownBlock } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { type Place, unclaimed } from './place.ts';
import { countWithin, intersect, type Span, spanOf, unclaimedBlock, usable, windowOf } from './pool.ts';
import type { Reading } from './reading.ts';
import { hasRoom, vacantBlocks } from './vacancies.ts';

/**
 * The next free place of the pool, or of a range of it: what the container had last, if that can be told and it is
 * still free, however short a time ago and in whosever block; else in the lowest own block that has one, else in a block
 * of nobody's, else in one of another host's, else a spare one. An address that has not rested yet comes after all of
 * these: then the one that has been free longest, since to refuse a container is worse than to risk that somebody still
 * takes it for the one before.
 * @throws WeftError `exhausted`
 */
export function nextPlace(
  ipam: Ipam,
  reading: Reading,
  of: {
    readonly pool: HeldPool;
    readonly range: string | undefined;
    /** Of the container, if it is known. */
    readonly mac?: string | undefined;
  },
  conflicts: number,
): Place {
  const { pool, range, mac } = of;
  const { hostId, keys, random, vacancies } = ipam;
  const { keptBack, prefix } = pool;
  const span = spanIn(pool, range);

  const placeIn = (block: HeldBlock, rested?: Rested): Place | undefined => {
    const offset = nextFree(block.record, windowOf(block.prefix, span, keptBack), rested);
    return offset === undefined ? undefined : { block, offset };
  };
  const rested = longAgo(ipam.now(), ipam.restMs);
  if (mac === undefined) {
    for (const block of vacantBlocks(ipam, reading, pool)) {
      const place = placeIn(block, rested);
      if (place !== undefined) return place;
    }
  }

  const claims = claimsOf(reading, keys, pool.name);
  const own = ownBlocks(ipam, reading, pool.name);
  /** Those of other hosts: read only where they are needed. */
  let read: HeldBlock[] | undefined;
  const others = () => {
    read ??= claims.every(({ record }) => record?.owner === hostId)
      ? []
      : othersBlocks(ipam, reading, pool.name);
    return read;
  };
  if (mac !== undefined) {
    const last = lastOf(ipam, pool, { blocks: own, span, mac });
    const place = last ?? lastOf(ipam, pool, { blocks: others(), span, mac });
    if (place !== undefined) return place;
  }
  vacancies.set(
    pool.name,
    own.filter((block) => hasRoom(block, pool)),
  );
  for (const block of own) {
    const place = placeIn(block, rested);
    if (place !== undefined) return place;
  }

  // In a quiet cluster blocks are claimed from the lowest up, as a person would. After a conflict somebody
  // else is doing the same just now, perhaps all hosts at once: each goes to a random one of the next 16,
  // then 256, ... so that a thousand that begin together are apart after a few rounds, not after a thousand.
  const nth = conflicts === 0 ? 0 : Math.floor(random() * Math.min(16 ** conflicts, 2 ** 32));
  // One that was claimed a moment ago is found there first.
  const found = reading.entries(keys.blocks(pool.name)).flatMap((entry) => knownBlock(keys, entry) ?? []);
  const claimed = [...claims, ...found].map((block) => block.prefix.first);
  const next = unclaimedBlock(prefix, { span, keptBack, claimed }, nth);
  const claim = next && placeIn(unclaimed(ipam, pool, next));
  if (claim !== undefined) {
    vacancies.add(pool.name, claim.block);
    return claim;
  }

  const loans = others().flatMap((block) => placeIn(block, rested) ?? []);
  const loan = loans[nth % loans.length];
  if (loan !== undefined) return loan;
  const [spare] = own.flatMap((block) => {
    const window = windowOf(block.prefix, span, keptBack);
    const offsets = (ipam.spares.get(block.key)?.spare ?? []).toSorted((a, b) => a - b);
    return offsets
      .filter((offset) => isWithin(window, offset))
      .filter((offset) => isSpare(block.record, offset))
      .map((offset) => ({ block, offset }));
  });
  if (spare !== undefined) return spare;
  const readable = [...own, ...others()];
  const [last] = readable.flatMap((block) => placeIn(block) ?? []).sort(longestFreeFirst);
  if (last !== undefined) return last;
  const isHeldElsewhere = others().some(({ record }) => record.spare?.length);
  throw exhausted(pool, { span, range, isHeldElsewhere, unreadable: claims.length - readable.length });
}

/** What the container with the MAC had last, or what this host still holds for it. */
function lastOf(
  ipam: Ipam,
  pool: HeldPool,
  of: { readonly blocks: readonly HeldBlock[]; readonly span: Span; readonly mac: string },
): Place | undefined {
  const { blocks, span, mac } = of;
  for (const block of blocks) {
    const window = windowOf(block.prefix, span, pool.keptBack);
    const offset = freedBy(block.record, window, mac) ?? adoptable(ipam, pool, block, window, mac);
    if (offset !== undefined) return { block, offset };
  }
  return undefined;
}

/** The blocks of this host's that can be read, in order. */
export function ownBlocks({ keys, hostId }: Ipam, reading: Reading, pool: string): HeldBlock[] {
  const claims = claimsOf(reading, keys, pool).filter(({ record }) => record?.owner === hostId);
  return blocksOf(reading, claims)
    .filter(({ record }) => record.owner === hostId)
    .sort(lowestFirst);
}

function othersBlocks({ keys, hostId }: Ipam, reading: Reading, pool: string): HeldBlock[] {
  return reading
    .allBlocks(pool)
    .map((entry) => knownBlock(keys, entry))
    .filter((block) => block?.record !== undefined)
    .filter(({ record }) => record.owner !== hostId)
    .sort(lowestFirst);
}

/** Where automatic addresses come from. */
export function spanIn({ prefix }: HeldPool, range: string | undefined): Span {
  const all = usable(prefix);
  return range === undefined ? all : intersect(all, spanOf(parsePrefix(range)));
}

/** What this host holds for the MAC though no endpoint uses it, since a daemon has crashed. */
function adoptable(
  { hostId, inUse }: Ipam,
  { name: pool }: HeldPool,
  { record, prefix: { family, first } }: HeldBlock,
  window: Window,
  mac: string,
): number | undefined {
  const isUsed = (offset: number) => inUse(pool, printAddress({ family, value: first + BigInt(offset) }));
  return heldFor(record, window, { host: hostId, mac }).find((offset) => !isUsed(offset));
}

function exhausted(
  { cidr, keptBack }: HeldPool,
  of: {
    readonly span: Span;
    readonly range: string | undefined;
    readonly isHeldElsewhere: boolean;
    readonly unreadable: number;
  },
): WeftError {
  const count = countWithin(of.span, keptBack);
  const [what, more] =
    of.range === undefined
      ? [`subnet ${cidr}`, 'make a network with a larger --subnet']
      : [`range ${of.range} of subnet ${cidr}`, 'make the network with a larger --ip-range'];
  const others = [
    ...(of.isHeldElsewhere ? [', or held for when the store is away'] : []),
    ...(of.unreadable > 0 ? [`, or lie in ${of.unreadable} blocks whose records cannot be read`] : []),
  ];
  const numbers =
    others.length === 0
      ? `${count} of ${count} addresses are in use`
      : `all addresses are in use${others.join('')}`;
  return new WeftError(
    'exhausted',
    `${what} is full: ${numbers}; remove containers that are not needed, or ${more}`,
  );
}

function lowestFirst(a: HeldBlock, b: HeldBlock): number {
  return a.prefix.first < b.prefix.first ? -1 : 1;
}

function longestFreeFirst(a: Place, b: Place): number {
  return freedMs(a.block.record, a.offset) - freedMs(b.block.record, b.offset);
}
