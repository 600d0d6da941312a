/**
 * `blocks/<pool>/<cidr>`: the slice of a pool from which one host serves its containers.
 *
 * Each address that is given out or back writes the record of its block anew, and every host is told of it. So it is
 * written shorter than it is worked with: of an address in use what nearly all have in common is left out.
 */
import Type, { type Static } from 'typebox';
import { byOffset, cidr, mac, text, version } from './fields.ts';
import { isPoolName } from './pool-name.ts';
import { formedRecord } from './record.ts';

/** One address of a block that is in use. */
export const Assignment = Type.Object({
  host: text,
  /** Names the operation that wrote it, so that a lost answer can be settled by reading back. */
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

const Written = Type.Object({
  v: version,
  cidr,
  /** Its name. */
  pool: Type.Refine(Type.String(), isPoolName, () => 'must be the name of a pool'),
  /** Host that serves automatic addresses from it, and to which all others route it. */
  owner: text,
  /** Grows with every write: it tells whether a block is still as it was at an earlier look. */
  sequence: Type.Integer(),
  /** Offsets given back, longest-free first. What is nowhere in the record was never used. */
  freed: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
  /** When each of these was, by offset; milliseconds since 1970. Absent of one: longer ago than matters. */
  freedMs: Type.Optional(byOffset(Type.Number())),
  /** Whose each of these was, by offset: a MAC, as far as it is known. */
  freedBy: Type.Optional(byOffset(mac)),
  /** By offset from the block's first address: operation and `sinceMs`. */
  assigned: byOffset(Type.Tuple([text, Type.Number()])),
  /** The hosts of those that are not the owner's, and the MACs of those whose is known. */
  lentTo: Type.Optional(byOffset(text)),
  macs: Type.Optional(byOffset(mac)),
  /** By offset too; such an address may be assigned as well, or not yet. */
  reserved: Type.Optional(byOffset(Reservation)),
  /** Offsets that only the owner gives to containers, and by itself while the store is away. */
  spare: Type.Optional(Type.Array(Type.Integer({ minimum: 0, maximum: 255 }))),
});
type Written = Static<typeof Written>;

export type Block = Omit<Written, 'assigned' | 'lentTo' | 'macs'> & {
  assigned: Record<string, Assignment>;
};

export const blockRecord = formedRecord<Block, typeof Written>('block', Written, { written, value });

function written({ assigned, ...block }: Block): Written {
  const short: Written['assigned'] = {};
  const lentTo: Record<string, string> = {};
  const macs: Record<string, string> = {};
  for (const [at, { host, operation, sinceMs, mac }] of Object.entries(assigned)) {
    short[at] = [operation, sinceMs];
    if (host !== block.owner) lentTo[at] = host;
    if (mac !== undefined) macs[at] = mac;
  }
  return {
    ...block,
    assigned: short,
    ...(Object.keys(lentTo).length > 0 && { lentTo }),
    ...(Object.keys(macs).length > 0 && { macs }),
  };
}

function value({ assigned, lentTo = {}, macs = {}, ...block }: Written): Block {
  const whole: Block['assigned'] = {};
  for (const [at, [operation, sinceMs]] of Object.entries(assigned)) {
    const mac = macs[at];
    whole[at] = { host: lentTo[at] ?? block.owner, operation, sinceMs, ...(mac !== undefined && { mac }) };
  }
  return { ...block, assigned: whole };
}

/** Its owner, and those who hold single addresses of it. */
export function holdersOf({ owner, assigned }: Block): string[] {
  return [owner, ...Object.values(assigned).map(({ host }) => host)];
}
