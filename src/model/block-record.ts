/**
 * The slice of a pool from which one host serves its containers, in two records that are written together.
 *
 * `unwatched/blocks/<pool>/<cidr>` is the block: each address that is given out or back writes it anew, and nobody is
 * told, for it concerns nobody else. So it is short: of an address in use what nearly all have in common is left out.
 *
 * `claims/<pool>/<cidr>` is what all hosts are told: whose block it is, and whom single addresses of it are lent to. It
 * is written when one of these changes; and whenever another host than the owner has written to the block, so that the
 * owner hears of it.
 */
import Type, { type Static } from 'typebox';
import { byOffset, cidr, mac, text, version } from './fields.ts';
import { isPoolName } from './pool-name.ts';

/** One address of a block that is in use. */
export const Assignment = Type.Object({
  host: text,
  /** Names the operation that wrote it, so that a lost answer can be settled by reading back; without spaces. */
  operation: text,
  /** Milliseconds since 1970. */
  sinceMs: Type.Number(),
  /** Of the container, where Docker tells. */
  mac: Type.Optional(mac),
});
export type Assignment = Static<typeof Assignment>;

/** One address of a block that swarm's manager has chosen for a task, whose host will ask for it by name. */
const Reservation = Type.Object({
  /** Of the pool: the RequestPool through which it was made, and is taken back. */
  reference: text,
  /** As of an assignment. */
  operation: text,
});
export type Reservation = Static<typeof Reservation>;

/** Its name. */
const pool = Type.Refine(Type.String(), isPoolName, () => 'must be the name of a pool');

export const Block = Type.Object({
  v: version,
  cidr,
  pool,
  /** As in its claim: the host that serves automatic addresses from it, and to which all others route it. */
  owner: text,
  /** Grows with every write: it tells whether a block is still as it was at an earlier look. */
  sequence: Type.Integer(),
  /** Offsets given back, longest-free first. What is nowhere in the record was never used. */
  freed: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
  /** When each of these was, by offset; milliseconds since 1970. Absent of one: longer ago than matters. */
  freedMs: Type.Optional(byOffset(Type.Number())),
  /** Whose each of these was, by offset: a MAC, as far as it is known. */
  freedBy: Type.Optional(byOffset(mac)),
  /** `<operation> <sinceMs>` of those in use, by offset from the block's first address. */
  assigned: byOffset(Type.String({ pattern: '^\\S+ \\d+$' })),
  /** The hosts of those that are not the owner's, and the MACs of those whose is known. */
  lentTo: Type.Optional(byOffset(text)),
  macs: Type.Optional(byOffset(mac)),
  /** By offset too; such an address may be assigned as well, or not yet. */
  reserved: Type.Optional(byOffset(Reservation)),
  /** Offsets that only the owner gives to containers, and by itself while the store is away. */
  spare: Type.Optional(Type.Array(Type.Integer({ minimum: 0, maximum: 255 }))),
});
export type Block = Static<typeof Block>;

export const Claim = Type.Object({
  v: version,
  cidr,
  pool,
  owner: text,
  /** As the block's. */
  lentTo: Type.Optional(byOffset(text)),
});
export type Claim = Static<typeof Claim>;

/** What all hosts are told of the block. */
export function claimOf({ cidr, pool, owner, lentTo }: Block): Claim {
  return { v: 1, cidr, pool, owner, ...(lentTo !== undefined && { lentTo }) };
}

/** Its owner, and those who hold single addresses of it. */
export function holdersOf({ owner, lentTo = {} }: Claim): string[] {
  return [owner, ...Object.values(lentTo)];
}

/** Whose the address is; undefined when it is free. */
export function hostOf({ owner, assigned, lentTo }: Block, offset: number): string | undefined {
  return assigned[offset] === undefined ? undefined : (lentTo?.[offset] ?? owner);
}

/** Who has the address; undefined when it is free. */
export function holderOf(block: Block, offset: number): Assignment | undefined {
  const host = hostOf(block, offset);
  const [operation = '', since] = block.assigned[offset]?.split(' ') ?? [];
  const mac = block.macs?.[offset];
  return host === undefined
    ? undefined
    : { host, operation, sinceMs: Number(since), ...(mac !== undefined && { mac }) };
}

/** Those of the block that are in use; of one host, if it is named. */
export function offsetsIn(block: Block, host?: string): number[] {
  const offsets = Object.keys(block.assigned).map(Number);
  return host === undefined ? offsets : offsets.filter((offset) => hostOf(block, offset) === host);
}

/** The block with the address in use by that holder, or (undefined) by nobody. */
export function withHolder(block: Block, offset: number, holder: Assignment | undefined): Block {
  const { assigned, lentTo, macs, ...rest } = block;
  const host = holder?.host === block.owner ? undefined : holder?.host;
  return {
    ...rest,
    assigned: changed(assigned, offset, holder && `${holder.operation} ${holder.sinceMs}`),
    ...some('lentTo', changed(lentTo, offset, host)),
    ...some('macs', changed(macs, offset, holder?.mac)),
  };
}

/** The block as another host's; who has which address stays the same. */
export function withOwner(block: Block, owner: string): Block {
  const { lentTo: _, ...rest } = block;
  const lent = offsetsIn(block).filter((offset) => hostOf(block, offset) !== owner);
  const lentTo = Object.fromEntries(lent.map((offset) => [offset, hostOf(block, offset) ?? owner]));
  return { ...rest, owner, ...some('lentTo', lentTo) };
}

function changed(
  by: Readonly<Record<string, string>> = {},
  offset: number,
  to: string | undefined,
): Record<string, string> {
  return to === undefined ? without(by, offset) : { ...by, [offset]: to };
}

/** The same but for what is there at the offset; fifty times as quick as to take it out by a pattern. */
export function without<T>(by: Readonly<Record<string, T>>, offset: number): Record<string, T> {
  const left = { ...by };
  delete left[offset];
  return left;
}

/** Where there is something in it. */
function some<K extends string>(name: K, by: Record<string, string>): { [_ in K]?: Record<string, string> } {
  for (const _ in by) return { [name]: by } as { [_ in K]: Record<string, string> };
  return {};
}
