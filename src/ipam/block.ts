/**
 * A block: the slice of a pool from which one host serves its containers. Pure functions on its record.
 *
 * Of the free addresses, the next one to hand out is the lowest that was never used; when all were used, the
 * one that has been free longest, if it has rested. So addresses are easy to predict in a young network, and in
 * an old one a neighbour's cache, a client's open connection or a late call of Docker for the former holder of an
 * address has had the most time to go away before the address means another container.
 *
 *   never used --assign--> assigned --free--> freed (queue) --assign--> assigned ...
 *
 * Beside that an address may be reserved, assigned or not: swarm's manager asks for the address of a task, the host
 * that runs it asks again, by name, and both give it back. It is free when both have.
 *
 * And some of the free ones are spare: no host but the owner gives these to containers, and that by itself while the
 * store is away (`spares.ts`). They are those whose turn would come last.
 *
 * A block does not know which of its addresses the pool keeps back (network address, gateway, ...): that is
 * the caller's `Window`. Addresses are offsets from the block's first one, at most 255; so a search here is a
 * walk over at most 256 of them, however large the pool is.
 */
import { WeftError } from '../errors.ts';
import {
  type Assignment,
  type Block,
  hostOf,
  offsetsIn,
  type Reservation,
  withHolder,
  without,
} from '../model/block-record.ts';

/** The offsets that may be handed out: `first` to `last`, both included, without `except`. */
export interface Window {
  readonly first: number;
  readonly last: number;
  readonly except: ReadonlySet<number>;
}

export function newBlock(of: {
  readonly pool: string;
  readonly cidr: string;
  readonly owner: string;
}): Block {
  return { v: 1, ...of, sequence: 0, freed: [], assigned: {} };
}

/** Whether an address that was given back then (milliseconds since 1970) may mean another container by now. */
export type Rested = (freedMs: number) => boolean;

/**
 * Whether something was that long ago, as far as clocks can be trusted, each host having its own: a time far in
 * the future was written by one that was wrong, and is no reason to wait until then.
 */
export function longAgo(nowMs: number, ageMs: number): (sinceMs: number) => boolean {
  return (sinceMs) => Math.abs(nowMs - sinceMs) >= ageMs;
}

/** The offset to hand out next; undefined when none in the window is free and has rested. */
export function nextFree(
  block: Block,
  { first, last, except }: Window,
  rested: Rested = () => true,
): number | undefined {
  for (let offset = first; offset <= last; offset += 1) {
    if (except.has(offset) || isTaken(block, offset) || block.freed.includes(offset)) continue;
    return offset;
  }
  const isOpen = (offset: number) => isWithin({ first, last, except }, offset) && !isTaken(block, offset);
  return block.freed.find((offset) => isOpen(offset) && rested(freedMs(block, offset)));
}

/** The offset in the window that is free and was last the MAC's; undefined when there is none. */
export function freedBy(block: Block, window: Window, mac: string): number | undefined {
  return block.freed.find(
    (offset) => block.freedBy?.[offset] === mac && isWithin(window, offset) && !isTaken(block, offset),
  );
}

/** The offsets in the window that the host holds for the MAC. */
export function heldFor(
  block: Block,
  window: Window,
  { host, mac }: { readonly host: string; readonly mac: string },
): number[] {
  return offsetsIn(block, host).filter((offset) => block.macs?.[offset] === mac && isWithin(window, offset));
}

/** Whether addresses are looked for there. */
export function isWithin({ first, last, except }: Window, offset: number): boolean {
  return offset >= first && offset <= last && !except.has(offset);
}

/** When it was given back; 0: longer ago than anybody remembers. */
export function freedMs(block: Block, offset: number): number {
  return block.freedMs?.[offset] ?? 0;
}

function isTaken({ assigned, reserved = {}, spare = [] }: Block, offset: number): boolean {
  return offset in assigned || offset in reserved || spare.includes(offset);
}

export function isSpare({ spare = [] }: Block, offset: number): boolean {
  return spare.includes(offset);
}

/** How many of the window are free, and not spare. */
export function countFree(block: Block, window: Window): number {
  return freeOffsets(block, window).length;
}

function freeOffsets(block: Block, { first, last, except }: Window): number[] {
  const all = Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => first + index);
  return all.filter((offset) => !except.has(offset) && !isTaken(block, offset));
}

/** The block with up to so many more spare ones: never used, from the last down; then those that have rested. */
export function setAside(block: Block, window: Window, count: number, rested: Rested): Block {
  const free = freeOffsets(block, window);
  const unused = free.filter((offset) => !block.freed.includes(offset)).reverse();
  const used = block.freed.filter((offset) => free.includes(offset) && rested(freedMs(block, offset)));
  const more = [...unused, ...used].slice(0, count);
  return more.length === 0 ? block : { ...block, spare: [...(block.spare ?? []), ...more] };
}

/** The block without spare ones. */
export function withoutSpare({ spare: _, ...block }: Block): Block {
  return touch(block);
}

/** For which task of swarm's the address is kept; undefined: for none. */
export function reservationOf({ reserved = {} }: Block, offset: number): Reservation | undefined {
  return reserved[offset];
}

/**
 * The block with the address given to the holder; again, when the same host holds it.
 * @throws WeftError `internal` when another host holds it: the caller has not looked.
 */
export function assign(block: Block, offset: number, holder: Assignment): Block {
  const host = hostOf(block, offset) ?? holder.host;
  if (host !== holder.host) {
    throw new WeftError('internal', `offset ${offset} of block ${block.cidr} is held by host ${host}`);
  }
  return withHolder(taken(block, offset), offset, holder);
}

/** The block with the address kept for a task, whoever has it already. */
export function reserve(block: Block, offset: number, reservation: Reservation): Block {
  return { ...taken(block, offset), reserved: { ...block.reserved, [offset]: reservation } };
}

/** The block with the address given back now, last in the queue; the same block when nobody has it. */
export function free(block: Block, offset: number, nowMs: number): Block {
  if (hostOf(block, offset) === undefined) return block;
  const mac = block.macs?.[offset];
  const freedBy = mac === undefined ? {} : { freedBy: { ...block.freedBy, [offset]: mac } };
  return withFreed({ ...touch(withHolder(block, offset, undefined)), ...freedBy }, offset, nowMs);
}

/** The block with the address no longer kept for a task; the same block when it was not. */
export function unreserve(block: Block, offset: number, nowMs: number): Block {
  if (reservationOf(block, offset) === undefined) return block;
  const reserved = without(block.reserved ?? {}, offset);
  return withFreed({ ...touch(block), reserved }, offset, nowMs);
}

/** In the queue only once it is neither assigned nor reserved. */
function withFreed(block: Block, offset: number, nowMs: number): Block {
  if (isTaken(block, offset)) return block;
  return {
    ...block,
    freed: [...block.freed, offset],
    freedMs: { ...block.freedMs, [offset]: nowMs },
  };
}

/** Neither free nor spare. */
function taken({ freedMs = {}, freedBy, spare, ...block }: Block, offset: number): Block {
  const isOther = (one: number) => one !== offset;
  return {
    ...touch(block),
    freed: block.freed.filter(isOther),
    freedMs: without(freedMs, offset),
    ...(freedBy === undefined ? {} : { freedBy: without(freedBy, offset) }),
    ...(spare === undefined ? {} : { spare: spare.filter(isOther) }),
  };
}

/** The same block, written once more. */
export function touch(block: Block): Block {
  return { ...block, sequence: block.sequence + 1 };
}
