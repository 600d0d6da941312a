/**
 * Pools: which subnets the cluster uses, and who refers to them. A pool lives as long as one RequestPool of
 * any host has not been released; each has a reference record, and the last to go takes the pool along.
 *
 * Pools do not overlap, but for those that are one network's own: a network whose segment is its own may have a
 * subnet that others have too, if it says which network it is.
 *
 * Two hosts may make pools at the same moment. That they do not overlap rests on one condition: a pool is
 * created only if nothing below `pools/` was written since the revision at which its creator looked.
 */
import { isDeepStrictEqual } from 'node:util';
import { WeftError } from '../errors.ts';
import {
  contains,
  type Family,
  overlaps,
  type Prefix,
  parsePrefix,
  printAddress,
  printPrefix,
} from '../model/address.ts';
import { parseNetworkOptions, refuseUnknown } from '../model/options.ts';
import { ownPoolName, parsePoolName } from '../model/pool-name.ts';
import { type Pool, records } from '../model/records.ts';
import { parseReserve, type Reserved } from '../model/reserve.ts';
import type { Keys } from '../store/keys.ts';
import type { Plan } from '../store/settle.ts';
import type { Condition, Write } from '../store/store.ts';
import { type PoolId, parsePoolId, printPoolId, readPool } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { refuseUnusable } from './pool.ts';
import { automaticRange } from './range.ts';
import { change, type Reading } from './reading.ts';
import {
  automaticSubnet,
  type KnownPool,
  refuseOutside,
  refuseOverlap,
  refuseSpecial,
  subnetOfNetwork,
} from './subnet.ts';

export interface PoolRequest {
  /** CIDR; absent: that of the network named by option `weft.network`, else a free one. */
  readonly pool?: string;
  /** Of a pool that this host has already, as the store may have forgotten: what it is called. */
  readonly name?: string;
  /** `--ip-range`: CIDR inside the pool. */
  readonly range?: string;
  /** Every `--ipam-opt`. */
  readonly options: Readonly<Record<string, string>>;
  readonly family: Family;
}

export interface GrantedPool {
  /** Docker's PoolID. */
  readonly poolId: string;
  readonly cidr: string;
}

/** Of a pool whose record does not tell. */
const usualBlockSize = 64;

const poolOptions = ['weft.network', 'weft.reserve'];

/**
 * Refers to a pool, and creates it when nobody else does.
 * @param reference names this request in the PoolID; a second request with the same one changes nothing
 * @throws WeftError `invalid`, `conflict` (overlap), `exhausted` (no free subnet), and as `change`
 */
export async function requestPool(
  ipam: Ipam,
  request: PoolRequest,
  reference = ipam.randomId(),
): Promise<GrantedPool> {
  refuseUnknown(Object.keys(request.options), poolOptions);
  const { 'weft.reserve': reserve, ...options } = request.options;
  const { network } = parseNetworkOptions(options);
  const reserved = reserve === undefined ? [] : parseReserve(reserve);
  const asked = request.pool === undefined ? undefined : parsePrefix(request.pool);
  const range = request.range === undefined ? undefined : parsePrefix(request.range);
  if (asked !== undefined) refuseSpecial(asked);
  const choose = asked === undefined ? await chooser(ipam, request.family, network) : () => asked;

  const subject = `use ${asked === undefined ? 'a subnet' : `subnet ${printPrefix(asked)}`}`;
  return ipam.queue('pools', () =>
    change(ipam, subject, (reading) => {
      const pools = knownPools(ipam, reading);
      const subnet = choose(pools);
      if (range !== undefined) refuseOutside(range, subnet);
      return planReference(ipam, reading, {
        ...{ subnet, range, network, reference, pools },
        reservedFor: within(subnet, reserved),
        name: request.name,
      });
    }),
  );
}

/**
 * Takes a reference away, and the pool with all its blocks when it was the last one. Unknown or already
 * released: succeeds.
 * @throws WeftError as `change`
 */
export async function releasePool(ipam: Ipam, poolId: string): Promise<void> {
  const id = parsePoolId(poolId);
  if (id === undefined) return;
  const { keys } = ipam;
  const key = keys.reference(id.name, id.reference);
  const references = keys.references(id.name);
  const pool: Write[] = [
    { delete: keys.pool(id.name) },
    { deletePrefix: keys.claims(id.name) },
    { deletePrefix: keys.blocks(id.name) },
  ];

  const plan = (reading: Reading): Plan<void> => {
    const entry = reading.get(key);
    if (entry === undefined) return { done: undefined };
    const other = reading.entries(references).find((reference) => reference.key !== key);
    // The other one must still be there: of two hosts that release at once, the second takes the pool along.
    const remaining: Condition =
      other === undefined ? { prefix: references, emptyExcept: key } : { key: other.key, exists: true };
    return {
      transaction: {
        conditions: [{ key, revision: entry.revision }, remaining],
        writes: [{ delete: key }, ...(other === undefined ? pool : [])],
      },
      result: undefined,
      proof: { key, holds: (found) => found === undefined },
    };
  };
  await ipam.queue('pools', () =>
    ipam.queue(id.name, async () => {
      // From then on any other host may take the pool along, with this one's blocks.
      if (isLastOwn(ipam, id)) await ipam.spares.forgetPool(id.name);
      await change(ipam, `release subnet ${id.cidr}`, plan);
    }),
  );
}

/** Whether this host has no other reference to the pool. */
function isLastOwn({ mirror, keys, hostId }: Ipam, { name, reference }: PoolId): boolean {
  const own = [...mirror.entries(keys.references(name))].filter(
    ({ value }) => records.poolReference.read(value)?.host === hostId,
  );
  const key = keys.reference(name, reference);
  return own.every((entry) => entry.key === key) && (own.length > 0 || mirror.get(key) === undefined);
}

/** How to choose among the pools there are: the subnet of the network that was named, else a free one. */
async function chooser(
  ipam: Ipam,
  family: Family,
  network: string | undefined,
): Promise<(pools: readonly KnownPool[]) => Prefix> {
  const routes = await ipam.routes();
  const range = await automaticRange(ipam, family);
  return (pools) => {
    if (network !== undefined) {
      const listed = (ipam.network(network)?.pools ?? []).map(parsePrefix);
      const subnet = subnetOfNetwork({ network, family, listed }, pools, routes);
      if (subnet !== undefined) return subnet;
    }
    const own = routes.map((prefix) => ({ prefix, host: ipam.hostName(ipam.hostId) }));
    return automaticSubnet(range, pools, {
      routes: [...own, ...ipam.routesElsewhere()],
      excluded: ipam.excluded,
    });
  };
}

/** Joins the pool when the cluster has it, else creates it; either with the reference, in one transaction. */
function planReference(
  { keys, hostId, now, blockSize }: Ipam,
  reading: Reading,
  of: {
    readonly subnet: Prefix;
    readonly range: Prefix | undefined;
    readonly network: string | undefined;
    readonly reference: string;
    readonly name: string | undefined;
    readonly pools: readonly KnownPool[];
    readonly reservedFor: Reservations | undefined;
  },
): Plan<GrantedPool> {
  const cidr = printPrefix(of.subnet);
  const name = of.name ?? poolFor(reading, keys, of);
  const result = { poolId: printPoolId(of.reference, name), cidr };
  const key = keys.reference(name, of.reference);
  if (reading.get(key) !== undefined) return { done: result };

  const range = of.range && { range: printPrefix(of.range) };
  const reference = records.poolReference.render({ v: 1, host: hostId, sinceMs: now(), ...range });
  const refer: Write = { put: key, value: reference };
  const proof = { key, holds: (found: unknown) => found !== undefined };

  const pool = reading.get(keys.pool(name));
  if (pool !== undefined) {
    refuseOther(cidr, readPool(cidr, pool).reservedFor, of.reservedFor);
    const conditions = [
      { key, revision: 0n },
      { key: pool.key, revision: pool.revision },
    ];
    return { transaction: { conditions, writes: [refer] }, result, proof };
  }

  // What was there first may be told last.
  const others = of.name === undefined ? of.pools : of.pools.filter(({ own }) => own !== true);
  if (name === cidr) refuseOverlap(of.subnet, others);
  const created = records.pool.render({
    v: 1,
    cidr,
    reserved: [],
    ...(blockSize !== usualBlockSize && { blockSize }),
    ...(of.network !== undefined && { network: of.network }),
    ...(of.reservedFor !== undefined && { reservedFor: of.reservedFor }),
  });
  const unchanged = { prefix: keys.pools, unchangedSince: reading.revision(keys.pools) };
  return {
    transaction: { conditions: [unchanged], writes: [{ put: keys.pool(name), value: created }, refer] },
    result,
    proof,
  };
}

/** Names by address. */
type Reservations = NonNullable<Pool['reservedFor']>;

/**
 * Those of the subnet; undefined: there are none. Docker tells of the option with each subnet of the network.
 * @throws WeftError `invalid` when one is no address for a container
 */
function within(subnet: Prefix, reserved: readonly Reserved[]): Reservations | undefined {
  const inside = reserved.filter(({ address }) => contains(subnet, address));
  for (const { address } of inside) refuseUnusable(subnet, address);
  if (inside.length === 0) return undefined;
  return Object.fromEntries(inside.map(({ name, address }) => [printAddress(address), name]));
}

/** @throws WeftError `conflict` when others are asked for than the subnet has */
function refuseOther(cidr: string, has: Reservations | undefined, asked: Reservations | undefined): void {
  if (asked === undefined || isDeepStrictEqual(asked, has)) return;
  const print = (reservations: Reservations = {}) =>
    Object.entries(reservations)
      .map(([address, name]) => `${name}=${address}`)
      .join(',') || 'none';
  throw new WeftError(
    'conflict',
    `subnet ${cidr} is in use with weft.reserve=${print(has)}, not ${print(asked)}: give it the same, or leave it out`,
  );
}

/**
 * The name of the pool to refer to: a subnet that overlaps none of another network's is known by itself; one that
 * does can only be the own of the network that was named.
 */
function poolFor(
  reading: Reading,
  keys: Keys,
  of: {
    readonly subnet: Prefix;
    readonly network: string | undefined;
    readonly pools: readonly KnownPool[];
  },
): string {
  const cidr = printPrefix(of.subnet);
  if (of.network === undefined) return cidr;
  const own = ownPoolName(cidr, of.network);
  if (reading.get(keys.pool(own)) !== undefined) return own;
  const shared = reading.get(keys.pool(cidr));
  if (shared === undefined) return of.pools.some(({ prefix }) => overlaps(prefix, of.subnet)) ? own : cidr;
  const holder = readPool(cidr, shared).network;
  return holder === undefined || holder === of.network ? cidr : own;
}

function knownPools({ keys }: Ipam, reading: Reading): KnownPool[] {
  return reading.entries(keys.pools).flatMap((entry) => {
    const place = keys.parse(entry.key);
    if (place?.kind !== 'pool') return [];
    const { prefix, network } = parsePoolName(place.pool);
    // Of one that cannot be read the subnet is known all the same, by its key; and that is taken.
    return [{ prefix, network: records.pool.read(entry.value)?.network, own: network !== undefined }];
  });
}
