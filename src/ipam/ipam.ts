/**
 * Addresses, once: what it rests on.
 *
 * A subnet in use is a pool. A pool is cut into blocks, of 64 addresses if its record does not say otherwise, and a block
 * has one owner: the host that serves its containers from it, and to which all others route it with one route. So hosts
 * do not get in each other's way, and a container's start costs one transaction. Only a host that finds no block left borrows single
 * addresses of others' blocks; and an address that is asked for by name is had in whosever block it lies.
 *
 *   block     nobody's --claim--> owned --last address given back, grace--> nobody's
 *   address   never used --assign--> pending --confirm--> in use --release--> resting --> free
 *             never used --set aside--> spare --given while the store is away, announced after--> in use
 *
 * - Nothing is written but by transactions that hold only while the block is as it was read, by the store's own
 *   revision of its key. Revisions never repeat, not even for a key that was deleted and made again, so a host that
 *   was frozen or cut off for however long cannot write to a block that somebody has written to since,
 *   let alone to one that it has lost. (The record's `sequence` counts the same for people.)
 * - No host is told of what is written to a block, since it concerns its owner alone. The owner knows what it has written
 *   itself, and by a new claim that another has (`block-cache.ts`); others read a block when they want something of it.
 *   What is known of it may be old: the condition tells.
 * - Claiming a block and assigning its first address are one transaction, which holds only if there is no such
 *   block. Of hosts that claim it at once the store lets one win. A separate step of confirming would add nothing:
 *   it guards against two that both believe they have won, which a store of one opinion cannot bring about.
 * - Two steps has the address instead. RequestAddress assigns it to the host: it is pending. CreateEndpoint confirms
 *   it: the transaction that announces the endpoint holds only while the host still has the address, and writes
 *   its block too. After that no release that was planned before can take effect, however late it comes.
 * - A transaction whose answer is lost is sent again as it is until the store answers; it excludes itself, so it takes
 *   effect once at most (`store/settle.ts`). One that claims a block may, its sender long having given up, do so
 *   once the block is nobody's again: then an address is held for nobody, a leak, and never a second time.
 * - Nobody is refused, and nothing is found to be exhausted, by old news (`reading.ts`).
 * - What is held for nobody is found by comparing with what Docker has (`agent/settlement.ts`), at two looks and
 *   not before it is a minute old; an endpoint that came after all would not be confirmed.
 * - While the store is away, a host gives to containers what is its own: 16 addresses of each pool from which it
 *   serves are set aside in its block, spare, and no other host gives or takes those (`spares.ts`), as long as this one
 *   refers to the pool: with the last reference it goes, and all its blocks.
 * - A host that is not heard of keeps what its endpoints use, and all it has in blocks of its own, the spare ones
 *   included: it may only be cut off, with its containers running, and starting more. It can be any time until it
 *   comes back, so no grace time makes these anybody else's; only somebody who knows that the host is no more.
 *   What it has borrowed for no endpoint, and blocks in which it has nothing, go back to the pool
 *   after a grace time (`reclaim.ts`), on condition that the host is still not heard of and has announced
 *   nothing meanwhile.
 * - A store that was wiped, or restored from a backup, does not know of all that hosts hold. Each tells it again
 *   what its ledger has, by name; until all have had the time for it, nobody is given anything new but of what is spare,
 *   be it of a block of its own, for others may have addresses there (`agent/memory.ts`). A host that tells later, when
 *   somebody else has what it holds, is refused that, and says so.
 * - Clocks decide only how long something rests or waits, never who has it.
 */
import type { Prefix } from '../model/address.ts';
import type { Queue } from '../model/queue.ts';
import type { Network } from '../model/records.ts';
import type { Clock } from '../store/clock.ts';
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { BlockCache } from './block-cache.ts';
import type { AutomaticSubnets } from './range.ts';
import type { Spares } from './spares.ts';
import type { ForeignRoute } from './subnet.ts';
import type { Vacancies } from './vacancies.ts';

/** What address management works with: handed in as one object, so that everything in it can be a test's. */
export interface Ipam {
  /** One whose commits mirror and blocks see at once (`mirroring`, `BlockCache.knowing`), guarded by the spares. */
  readonly store: Store;
  /** Of pools and claims at least. */
  readonly mirror: Mirror;
  readonly blocks: BlockCache;
  readonly keys: Keys;
  readonly spares: Spares;
  readonly vacancies: Vacancies;
  /** One operation at a time per pool: two of the same host would only make each other fail. */
  readonly queue: Queue;
  readonly hostId: string;
  /** For sentences: what people call the host. */
  readonly hostName: (hostId: string) => string;
  readonly network: (key: string) => Network | undefined;
  /** Whether an endpoint of this host has the address (canonical text) of the pool (its name). */
  readonly inUse: (pool: string, address: string) => boolean;
  /** Prefixes that this host reaches elsewhere, by routes that are not weft's; without the default routes. */
  readonly routes: () => Promise<readonly Prefix[]>;
  /** The same of the other hosts, as far as they have told. */
  readonly routesElsewhere: () => readonly ForeignRoute[];
  readonly automatic: AutomaticSubnets;
  /** Addresses in a block of a pool that this host makes; a power of two, 256 at most. */
  readonly blockSize: number;
  /** What no automatic subnet shall overlap. */
  readonly excluded: readonly Prefix[];
  /** For how long an address that was given back is given to nobody who did not ask for it by name. */
  readonly restMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Paces retries. */
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Never the same twice in the cluster; letters and digits. */
  readonly randomId: () => string;
}
