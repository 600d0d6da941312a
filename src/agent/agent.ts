/**
 * weft on one host, put together: the store's news go into the mirror, the mirror marks what they bear on,
 * the reconciler brings the kernel in line; Docker's calls go into the ledger and the store.
 *
 * Starting waits for nothing that can be away: calls are answered from the first moment, and those that need
 * the store say so while it is missing.
 */
import { explain, WeftError } from '../errors.ts';
import { assignments, releaseHeld } from '../ipam/addresses.ts';
import { givenAddresses, recallUsed } from '../ipam/outage.ts';
import { sharedStore } from '../ipam/shared-store.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../store/clock.ts';
import { keysBelow } from '../store/keys.ts';
import { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { type AddressRules, addressManagement } from './address-management.ts';
import { addressUseCases } from './addresses.ts';
import { announcementsTo } from './announcements.ts';
import type { AddressCalls, NetworkCalls } from './calls.ts';
import { Cluster } from './cluster.ts';
import { dealingsWith } from './dealings.ts';
import { isLinked, untakenIn } from './endpoint-link.ts';
import { endpointUseCases } from './endpoints.ts';
import { epochOf } from './epoch.ts';
import { hostIdIn } from './host-id.ts';
import { lastKnownOf } from './last-known.ts';
import { joinedAddresses, type Ledger, type LedgerNetwork, openLedger } from './ledger.ts';
import { type GiveUpLost, lostEndpoints } from './lost-endpoints.ts';
import { Membership } from './membership.ts';
import { memoryOf } from './memory.ts';
import { type NameBook, nameBookOf } from './name-book.ts';
import { neighbourhoodOf } from './neighbourhood.ts';
import { networkUseCases } from './networks.ts';
import { newsRouter } from './news.ts';
import { ownUplink } from './own-uplink.ts';
import { passesOver } from './passes.ts';
import { presenceOf } from './presence.ts';
import { publicationUseCases } from './publications.ts';
import { Readiness } from './readiness.ts';
import { type Recipes, recipesOf } from './recipes.ts';
import { filterScope, Reconciler } from './reconciler.ts';
import { seenRevision } from './seen-revision.ts';
import { settlement } from './settlement.ts';
import { type Tending, tendingOf } from './tending.ts';
import type { ThisHost } from './this-host.ts';
import { unneededIn } from './unneeded.ts';
import { Views } from './views.ts';

export interface AgentOptions extends AddressRules {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly storePrefix: string;
  /** URLs, for finding the address that the other hosts know. */
  readonly storeEndpoints: readonly string[];
  readonly address?: string;
  readonly hostName: string;
  /** As `bootId` tells it. */
  readonly boot: string;
  readonly stateDir: string;
  /** Whether packets may take one, where the kernel can. */
  readonly shortcut: boolean;
  readonly vxlanPort: number;
  readonly probePort: number;
  readonly resyncMs: number;
  /** Which of these Docker does not have. @throws WeftError when it cannot be asked */
  readonly lostInDocker: (networks: readonly LedgerNetwork[]) => Promise<readonly LedgerNetwork[]>;
  readonly log: Log;
}

export interface Agent {
  readonly network: NetworkCalls;
  readonly addresses: AddressCalls;
  readonly hostId: string;
  readonly ledger: Ledger;
  readonly recipes: Recipes;
  readonly nameBook: NameBook;
  readonly tending: Tending;
  /** Lets go of everything and leaves the kernel as it is. */
  close(): Promise<void>;
}

/** Calls that need the store wait for it this long; Docker must be answered well before its patience ends. */
const readyTimeoutMs = 4_000;

export function startAgent(options: AgentOptions): Agent {
  const { kernel, log, hostName, boot, resyncMs } = options;
  const hostId = hostIdIn(options.stateDir);
  const ledger = openLedger(options.stateDir, (file) =>
    log.error({ file }, 'cannot use a file of the ledger'),
  );
  const seen = seenRevision(options.stateDir);
  const keys = keysBelow(options.storePrefix);
  const mirror = new Mirror(keys.root, (changed) => onNews(changed), keys.unwatched);
  const shared = sharedStore({
    ...{ store: options.store, mirror, keys, hostId, shelf: ledger.blocks, now: Date.now },
    failed: (error) => log.warn({ reason: explain(error) }, 'cannot keep which addresses are spare'),
  });
  const { store, spares } = shared;
  const lastKnown = lastKnownOf({ stateDir: options.stateDir, mirror, nowMs: systemClock.now, log });
  const cluster = new Cluster(mirror, keys, log);
  const membership = new Membership(store, keys, hostId);
  const uplink = ownUplink({
    ...{ kernel, hostId, log, endpoints: options.storeEndpoints, vxlanPort: options.vxlanPort },
    ...(options.address !== undefined && { wished: options.address }),
  });
  const { underlay } = uplink;
  const noShortcut = options.shortcut ? kernel.shortcutObstacle() : 'it is switched off (WEFT_SHORTCUT)';
  if (noShortcut !== undefined) log.info({ reason: noShortcut }, 'packets take no shortcut');
  const views = new Views(cluster, ledger, underlay, () => noShortcut === undefined);
  const neighbourhood = neighbourhoodOf({
    ...{ hostId, cluster, ledger, kernel, underlay, log },
    probePort: options.probePort,
    keepsAll,
    turned: () => {
      reconciler.mark('host');
      reconciler.mark(filterScope);
    },
  });
  const passes = passesOver(kernel, ledger, views, neighbourhood, keepsAll);
  const reconciler: Reconciler = new Reconciler({ ...passes, fullPassMs: resyncMs, log });
  const scopesOf = newsRouter(ledger, cluster);
  const connected = () => presence.isConnected;
  const readiness = new Readiness(connected);
  const epoch = epochOf({ store, keys, cluster, last: seen.before.epoch, newId: () => ipam.randomId() });
  const recipes = recipesOf({ store, keys, cluster, hostId, epoch, connected });

  const ipam = addressManagement({ ...shared, cluster, ledger, kernel, rules: options });
  recallUsed(ipam, joinedAddresses(ledger));
  const announcements = announcementsTo(ipam);
  const nameBook = nameBookOf({ cluster, ledger, announcements });
  const dealings = dealingsWith({
    connected,
    ready,
    isAway: () => presence.isAway,
    isCopied: () => presence.isCopied(),
    log,
  });
  const host: ThisHost = {
    id: hostId,
    underlay,
    cluster,
    ledger,
    kernel,
    views,
    membership,
    announcements,
    reconciler,
    leadsToOthers: passes.leadsToOthers,
    log,
    ...dealings,
  };
  const memory = memoryOf({
    ...{ hostId, ipam, cluster, epoch, ledger, membership, announcements, log },
    told: () => recipes.hear([]),
    over: () => reconciler.markAll(),
  });
  const publications = publicationUseCases(host, (isAskedFor) => giveUpLost(isAskedFor));
  const { isCreating, ...networks } = networkUseCases(host);
  const { isJoining, hasJoined, ...endpoints } = endpointUseCases(host, publications);
  const untakenEndpoints = async () => (await untakenIn(ledger, kernel)).filter(({ id }) => !isJoining(id));
  const giveUpLost: GiveUpLost = lostEndpoints({
    ...{ ledger, isJoining, hasJoined, deleteEndpoint: endpoints.deleteEndpoint, clock: ipam.clock, log },
    isUntaken: async (endpoint) => (await untakenEndpoints()).includes(endpoint),
    isLinked: async ({ id, network: dockerNetwork }) => {
      const network = ledger.networks.get(dockerNetwork);
      // Of a network that is not known, nothing can be told.
      return network === undefined || (await isLinked(kernel, network, id));
    },
    keepsSandbox: (sandbox) => kernel.keepsSandbox(sandbox),
    leaveSandbox: nameBook.end,
  });
  const addresses = addressUseCases(host, ipam, giveUpLost);
  const settling = settlement({
    hostId,
    cluster,
    ledger,
    membership,
    announcements,
    isCreating,
    unlinkedEndpoints: () => passes.unlinked().filter(({ id }) => !isJoining(id)),
    forgetUnlinked: passes.forgetUnlinked,
    untakenEndpoints,
    lostInDocker: options.lostInDocker,
    deleteNetwork: networks.deleteNetwork,
    deleteEndpoint: endpoints.deleteEndpoint,
    heldAddresses: async () => [...(await assignments(ipam)), ...givenAddresses(ipam)],
    releaseAddress: (held) => releaseHeld(ipam, held),
    releasePool: addresses.releasePool,
    now: ipam.now,
    unneeded: unneededIn(ipam, cluster),
    log,
  });

  async function ready(): Promise<void> {
    await readiness.wait(readyTimeoutMs);
    if (!memory.keepsAll()) return;
    throw new WeftError(
      'unavailable',
      'the store has lost data, and for a minute all hosts tell it again what they hold, so that nobody else gets it: try again then (containers that run are not affected)',
    );
  }

  const presence = presenceOf({
    ...{ ipam, hostName, boot, resyncMs, kernel, cluster, ledger },
    ...{ lastKnown, seen, epoch, memory, neighbourhood, uplink, reconciler, readiness, settling, log },
    established: () => recipes.hear([]),
  });

  /** Whether the store, or what is known of it, may lack what other hosts have. */
  function keepsAll(): boolean {
    return lastKnown.isInUse || memory.keepsAll();
  }

  function onNews(changed: readonly string[]): void {
    spares.hear(mirror, changed);
    const places = changed.flatMap((key) => keys.parse(key) ?? []);
    const scopes = scopesOf(places);
    if (scopes === 'all') reconciler.markAll();
    else for (const scope of scopes) reconciler.mark(scope);
    readiness.check();
    recipes.hear(changed);
    nameBook.hear(places);
  }

  return {
    network: { ...networks, ...endpoints, ...publications },
    addresses,
    ...{ hostId, ledger, recipes, nameBook },
    tending: tendingOf({
      ...{ ipam, cluster, ledger, announcements, memory, neighbourhood, passes, reconciler, hostName },
      ...{ settlement: settling, uplink: uplink.current, ready: dealings.ready, resync: presence.resync },
      ...(noShortcut !== undefined && { noShortcut }),
      trouble: () => readiness.trouble,
    }),
    async close() {
      memory.close();
      reconciler.close();
      await presence.close();
      await lastKnown.close();
      await store.close();
      kernel.close();
    },
  };
}
