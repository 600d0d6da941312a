/** Addresses while the store is away: of what this host has for itself (`spares.ts`), and no transaction. */
import {
  type Address,
  contains,
  parseAddress,
  parsePrefix,
  prefixOf,
  printAddress,
  printPrefix,
} from '../model/address.ts';
import type { HeldAddress } from './addresses.ts';
import { parsePoolId } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { addressInUse } from './place.ts';
import type { OwnBlock } from './spares.ts';

/** An address in a block of this host's. */
interface OwnPlace {
  readonly block: OwnBlock;
  readonly offset: number;
  readonly address: Address;
}

/**
 * An address for a container: the wanted one, if it is this host's to give; else, of the spare ones in the range, the
 * lowest that was never used, then the one that has been free longest.
 * @returns canonical text, once it is on disk; undefined: only the store can give one
 * @throws WeftError `conflict` when a container of this host has the wanted one, `internal` when the disk fails
 */
export async function assignSpare(
  ipam: Ipam,
  poolId: string,
  of: { readonly wanted?: string; readonly range?: string; readonly mac?: string },
): Promise<string | undefined> {
  const pool = parsePoolId(poolId);
  if (pool === undefined) return undefined;
  const { wanted, range, mac } = of;
  const place =
    wanted === undefined
      ? nextSpare(ipam, pool.name, range)
      : wantedSpare(ipam, pool.name, parseAddress(wanted));
  if (place === undefined) return undefined;
  await give(ipam, place, mac);
  return printAddress(place.address);
}

/**
 * Takes back what an endpoint had that is gone. While the store is away, this may also be what the store has assigned:
 * the container that had it, or another, may have it again.
 * @param operation only if it was given to this request
 * @returns whether the store need not be asked. @throws WeftError `internal` when the disk fails
 */
export async function releaseSpare(
  ipam: Ipam,
  pool: string,
  address: Address,
  operation?: string,
): Promise<boolean> {
  const { spares, mirror, inUse, now } = ipam;
  const place = ownPlace(ipam, pool, address);
  if (place === undefined || inUse(pool, printAddress(address))) return false;
  const { block, offset } = place;
  const holder = block.given[offset];
  if (holder === undefined && (mirror.connected || !spares.isAssigned(block, offset))) return false;
  if (operation !== undefined && holder?.operation !== operation) return false;
  await spares.takeBack(block, offset, now());
  return true;
}

/**
 * Whether this host may use all these without asking, because it was given them, or has them in the store for certain.
 * On disk when it resolves. @throws WeftError `internal` when the disk fails
 */
export async function keepOwn(
  ipam: Ipam,
  pools: readonly string[],
  addresses: readonly string[],
): Promise<boolean> {
  const places = addresses.map((text) => {
    const address = parseAddress(text);
    return pools.map((pool) => ownPlace(ipam, pool, address)).find((place) => place !== undefined);
  });
  const own = places.filter((place) => place !== undefined).filter((place) => isHad(ipam, place));
  if (own.length < addresses.length) return false;
  for (const place of own) if (place.block.given[place.offset] === undefined) await give(ipam, place);
  return true;
}

/** To be called as weft starts, with what joined endpoints of this host have in pools, each by its name. */
export function recallUsed(
  ipam: Ipam,
  used: Iterable<{ readonly pool: string; readonly address: string }>,
): void {
  for (const { pool, address } of used) {
    const place = ownPlace(ipam, pool, parseAddress(address));
    if (place !== undefined) ipam.spares.recall(place.block, place.offset);
  }
}

/** What was given and is not announced yet; perhaps it never will be. */
export function givenAddresses({ spares }: Ipam): HeldAddress[] {
  return spares.all().flatMap(({ pool, cidr, given }) =>
    Object.entries(given).map(([offset, { operation, sinceMs }]) => {
      return { pool, address: printAddress(addressAt(cidr, Number(offset))), operation, sinceMs };
    }),
  );
}

function nextSpare(ipam: Ipam, pool: string, range: string | undefined): OwnPlace | undefined {
  const within = range === undefined ? undefined : parsePrefix(range);
  const places = ipam.spares
    .ofPool(pool)
    .flatMap((block) =>
      block.spare.map((offset) => ({ block, offset, address: addressAt(block.cidr, offset) })),
    )
    .filter(({ address }) => within === undefined || contains(within, address));
  const [next] = places.sort(
    (a, b) => freedMs(a) - freedMs(b) || (a.address.value < b.address.value ? -1 : 1),
  );
  return next;
}

function wantedSpare(ipam: Ipam, pool: string, address: Address): OwnPlace | undefined {
  const place = ownPlace(ipam, pool, address);
  if (place === undefined) return undefined;
  if (place.block.spare.includes(place.offset)) return place;
  if (!isHad(ipam, place)) return undefined;
  const text = printAddress(address);
  if (ipam.inUse(pool, text)) throw addressInUse(ipam, text, { host: ipam.hostId });
  return place;
}

function ownPlace({ spares, keys }: Ipam, pool: string, address: Address): OwnPlace | undefined {
  const [any] = spares.ofPool(pool);
  if (any === undefined) return undefined;
  // All blocks of a pool are of one size.
  const prefix = prefixOf(address, parsePrefix(any.cidr).length);
  const block = spares.get(keys.block(pool, printPrefix(prefix)));
  return block && { block, offset: Number(address.value - prefix.first), address };
}

function isHad({ spares }: Ipam, { block, offset }: OwnPlace): boolean {
  return block.given[offset] !== undefined || spares.isAssigned(block, offset);
}

async function give({ spares, hostId, now, randomId }: Ipam, place: OwnPlace, mac?: string): Promise<void> {
  const holder = { host: hostId, operation: randomId(), sinceMs: now(), ...(mac !== undefined && { mac }) };
  await spares.give(place.block, place.offset, holder);
}

function freedMs({ block, offset }: OwnPlace): number {
  return block.freedMs[offset] ?? 0;
}

function addressAt(cidr: string, offset: number): Address {
  const { family, first } = parsePrefix(cidr);
  return { family, value: first + BigInt(offset) };
}
