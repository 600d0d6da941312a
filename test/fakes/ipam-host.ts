/** Address management of one host of a test's cluster, on whatever store the hosts share. */
import type { Ipam } from '../../src/ipam/ipam.ts';
import { sharedStore } from '../../src/ipam/shared-store.ts';
import type { OwnBlock, OwnBlockShelf } from '../../src/ipam/spares.ts';
import type { ForeignRoute } from '../../src/ipam/subnet.ts';
import { Vacancies } from '../../src/ipam/vacancies.ts';
import { type Prefix, parsePrefix } from '../../src/model/address.ts';
import { keyedQueue } from '../../src/model/queue.ts';
import type { Network } from '../../src/model/records.ts';
import { keysBelow } from '../../src/store/keys.ts';
import type { Store } from '../../src/store/store.ts';
import { skippingClock } from './clock.ts';
import { Watcher } from './watcher.ts';

export interface IpamHost extends Ipam {
  readonly watcher: Watcher;
  /** Addresses that endpoints of this host use. */
  readonly endpoints: Set<string>;
  readonly networks: Map<string, Network>;
  /** Routes of this host that are not weft's. */
  readonly otherRoutes: Prefix[];
  /** What other hosts have told of theirs. */
  readonly routesElsewhere: () => ForeignRoute[];
}

export interface IpamHostOptions {
  readonly root?: string;
  readonly automatic?: Ipam['automatic'];
  readonly excluded?: Ipam['excluded'];
  readonly blockSize?: number;
  readonly clock?: Ipam['clock'];
  readonly random?: () => number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The host's disk; absent: an empty one. */
  readonly disk?: OwnBlockShelf;
}

/** What outlives a host's weft. */
export function diskInMemory(): OwnBlockShelf {
  const blocks = new Map<string, OwnBlock>();
  return {
    get: (id) => blocks.get(id),
    all: () => [...blocks.values()],
    put: async (block) => void blocks.set(block.id, block),
    delete: async (id) => void blocks.delete(id),
  };
}

/** Resolves when its mirror is complete. */
export async function ipamHost(
  store: Store,
  hostId: string,
  options: IpamHostOptions = {},
): Promise<IpamHost> {
  const keys = keysBelow(options.root ?? '/weft/v1/');
  const failed = (error: unknown) => {
    throw error;
  };
  const watcher = new Watcher(
    store,
    keys.root,
    (mirror, changed) => shared.spares.hear(mirror, changed),
    keys.unwatched,
  );
  const shelf = options.disk ?? diskInMemory();
  const now = options.now ?? (() => 1_700_000_000_000);
  const shared = sharedStore({ store, mirror: watcher.mirror, keys, hostId, shelf, now, failed });
  const endpoints = new Set<string>();
  const networks = new Map<string, Network>();
  const otherRoutes: Prefix[] = [];
  const routesElsewhere: ForeignRoute[] = [];
  let ids = 0;
  await watcher.until(({ mirror }) => mirror.complete);
  return {
    watcher,
    endpoints,
    networks,
    otherRoutes,
    ...shared,
    queue: keyedQueue(),
    vacancies: new Vacancies(),
    hostName: (id) => `${id}.example`,
    network: (key) => networks.get(key),
    inUse: (_, address) => endpoints.has(address),
    routes: async () => otherRoutes,
    routesElsewhere: () => routesElsewhere,
    blockSize: options.blockSize ?? 64,
    excluded: options.excluded ?? [],
    automatic: options.automatic ?? {
      4: { range: parsePrefix('10.160.0.0/11'), length: 20 },
      6: { range: parsePrefix('fd77:1:2::/48'), length: 64 },
    },
    restMs: 60_000,
    now,
    clock: options.clock ?? skippingClock(),
    random: options.random ?? (() => 0.5),
    randomId: () => {
      ids += 1;
      return `${hostId}x${ids}`;
    },
  };
}
