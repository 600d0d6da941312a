/**
 * weft on one host, put together: the store's news go into the mirror, the mirror marks what they bear on,
 * the reconciler brings the kernel in line; Docker's calls go into the ledger and the store.
 *
 * Starting waits for nothing that can be away: calls are answered from the first moment, and those that need
 * the store say so while it is missing.
 */
import { explain, WeftError } from '../errors.ts';
import { assignmentsOf, releaseHeld } from '../ipam/addresses.ts';
import type { HostChange, Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import { keysBelow } from '../store/keys.ts';
import { Mirror, mirroring } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { type AddressRules, addressManagement } from './address-management.ts';
import { addressUseCases } from './addresses.ts';
import { announcementsTo } from './announcements.ts';
import type { AddressCalls, NetworkCalls } from './calls.ts';
import { Cluster } from './cluster.ts';
import { coalesce } from './coalesce.ts';
import { endpointUseCases } from './endpoints.ts';
import { epochOf } from './epoch.ts';
import { worthTelling } from './foreign-routes.ts';
import { hostIdIn } from './host-id.ts';
import { isOfCopy, keepAlive, publishHost } from './host-record.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { Membership } from './membership.ts';
import { memoryOf } from './memory.ts';
import { type NameBook, nameBookOf } from './name-book.ts';
import { neighbourhoodOf } from './neighbourhood.ts';
import { networkUseCases } from './networks.ts';
import { newsRouter } from './news.ts';
import { ownUplink } from './own-uplink.ts';
import { passesOver } from './passes.ts';
import { publicationUseCases } from './publications.ts';
import { Readiness } from './readiness.ts';
import { type Recipes, recipesOf } from './recipes.ts';
import { filterScope, Reconciler } from './reconciler.ts';
import { recoverLedger } from './recovery.ts';
import { seenRevision } from './seen-revision.ts';
import { settlement } from './settlement.ts';
import { type Tending, tendingOf } from './tending.ts';
import type { ThisHost } from './this-host.ts';
import { unneededIn } from './unneeded.ts';
import { afterUpheavals } from './upheaval.ts';
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
  readonly vxlanPort: number;
  readonly probePort: number;
  readonly resyncMs: number;
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
const establishRetryMs = 1_000;

export function startAgent(options: AgentOptions): Agent {
  const { kernel, log, hostName, boot, resyncMs } = options;
  const stopping = new AbortController();
  const hostId = hostIdIn(options.stateDir);
  const ledger = openLedger(options.stateDir, (file) =>
    log.error({ file }, 'cannot use a file of the ledger'),
  );
  const seen = seenRevision(options.stateDir);
  const keys = keysBelow(options.storePrefix);
  const mirror = new Mirror(options.storePrefix, (changed) => onNews(changed));
  const store = mirroring(options.store, () => [mirror]);
  const cluster = new Cluster(mirror, keys, log);
  const membership = new Membership(store, keys, hostId);
  const uplink = ownUplink({
    ...{ kernel, hostId, log, endpoints: options.storeEndpoints, vxlanPort: options.vxlanPort },
    ...(options.address !== undefined && { wished: options.address }),
  });
  const { underlay } = uplink;
  const views = new Views(cluster, ledger, underlay);
  const neighbourhood = neighbourhoodOf({
    ...{ hostId, cluster, ledger, kernel, underlay, log },
    probePort: options.probePort,
    keepsAll: () => memory.keepsAll(),
    turned: () => {
      reconciler.mark('host');
      reconciler.mark(filterScope);
    },
  });
  const passes = passesOver(kernel, ledger, views, neighbourhood, () => memory.keepsAll());
  const reconciler: Reconciler = new Reconciler({ ...passes, fullPassMs: resyncMs, log });
  const scopesOf = newsRouter(keys, ledger, cluster);
  const connected = () => established && mirror.connected && !isCopied();
  const readiness = new Readiness(connected);
  const epoch = epochOf({ store, keys, cluster, last: seen.before.epoch, newId: () => ipam.randomId() });
  const recipes = recipesOf({ store, keys, cluster, hostId, epoch, connected });
  /** The cluster's state is known here, and this host known to the cluster. */
  let established = false;
  let establishing: NodeJS.Timeout | undefined;
  /** Ends with the signal. */
  let heartbeat: Promise<void> | undefined;

  const ipam = addressManagement({ store, mirror, keys, hostId, cluster, ledger, kernel, rules: options });
  const announcements = announcementsTo(ipam);
  const nameBook = nameBookOf({ keys, cluster, ledger, announcements });
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
    ready,
    giveBack,
  };
  const memory = memoryOf({
    ...{ hostId, ipam, cluster, epoch, ledger, membership, announcements, log },
    over: () => reconciler.markAll(),
  });
  const publications = publicationUseCases(host);
  const networks = networkUseCases(host);
  const endpoints = endpointUseCases(host, publications);
  const addresses = addressUseCases(host, ipam);
  const settling = settlement({
    hostId,
    cluster,
    ledger,
    membership,
    announcements,
    unlinkedEndpoints: passes.unlinked,
    forgetUnlinked: passes.forgetUnlinked,
    deleteNetwork: networks.deleteNetwork,
    deleteEndpoint: endpoints.deleteEndpoint,
    heldAddresses: () => assignmentsOf(ipam, hostId),
    releaseAddress: (held) => releaseHeld(ipam, held),
    releasePool: addresses.releasePool,
    now: ipam.now,
    unneeded: unneededIn(ipam, cluster),
    log,
  });

  /** Whether there is another machine by this one's id: then what the store has in its name may be that one's. */
  function isCopied(): boolean {
    const [known, own] = [cluster.host(hostId), uplink.current()];
    return known !== undefined && own !== undefined && isOfCopy(known, { boot, uplink: own });
  }

  async function ready(): Promise<void> {
    await readiness.wait(readyTimeoutMs);
    if (!memory.keepsAll()) return;
    throw new WeftError(
      'unavailable',
      'the store has lost data, and for a minute all hosts tell it again what they hold, so that nobody else gets it: try again then (containers that run are not affected)',
    );
  }

  function onNews(changed: readonly string[]): void {
    const scopes = scopesOf(changed);
    if (scopes === 'all') reconciler.markAll();
    else for (const scope of scopes) reconciler.mark(scope);
    readiness.check();
    recipes.hear(changed);
    nameBook.hear(changed);
  }

  async function follow(): Promise<void> {
    for await (const notice of options.store.watch(options.storePrefix, stopping.signal)) {
      if (notice.type === 'lost' && !stopping.signal.aborted) {
        readiness.report(`the store is away: ${notice.cause.message}`);
        log.warn(
          { reason: explain(notice.cause) },
          'the store is away; traffic and running containers are not affected',
        );
      }
      const wasAway = !mirror.connected;
      const last = mirror.complete ? mirror.revision : seen.before.revision;
      const wentBack = notice.type === 'snapshot' && notice.revision < last;
      mirror.apply(notice);
      const isLost = mirror.connected && memory.compare(wentBack);
      // What hosts are led to is told after where they are.
      if (connected() && (wasAway || isLost)) {
        void resettle().then(tellAgain);
      }
      if (notice.type === 'snapshot') void establish();
    }
  }

  /** Once the cluster's state is here: makes this host known, and opens the way to the kernel. */
  const establish = coalesce(async () => {
    if (established || stopping.signal.aborted) return;
    try {
      await refresh();
      await recoverLedger({ hostId, cluster, ledger, log });
      await neighbourhood.recall();
      established = true;
      heartbeat = keepAlive(
        { store, keys },
        hostId,
        (error) => log.debug({ reason: explain(error) }, 'not announced yet'),
        stopping.signal,
      );
      reconciler.open();
      void neighbourhood.probe(stopping.signal);
      readiness.check();
      recipes.hear([]);
      log.info({ host: hostId, ...uplink.current() }, 'this host takes part');
      await tellAgain();
    } catch (error) {
      readiness.report(explain(error));
      log.warn({ reason: explain(error) }, 'this host cannot take part yet');
      clearTimeout(establishing);
      establishing = setTimeout(() => void establish(), establishRetryMs).unref();
    }
  });

  /** What is in the store again can be offered again. */
  async function tellAgain(): Promise<void> {
    await memory.tellAgain();
    recipes.hear([]);
  }

  /** Something of this host's network has changed that may bear on the way to the others. */
  async function resettle(): Promise<void> {
    if (!established) return;
    try {
      await refresh();
      reconciler.mark('host');
    } catch (error) {
      log.warn({ reason: explain(error) }, 'cannot follow the uplink now; trying again later');
    }
  }

  /** One at a time: two would write the record of this host at once, and one take it for another machine's. */
  const refresh = coalesce(async () => {
    if (await uplink.find()) reconciler.markAll();
    if (!mirror.connected) return;
    const own = uplink.current();
    if (own === undefined) return;
    await epoch.begin();
    const foreign = worthTelling(await ipam.routes(), options.automaticSubnets, cluster.config()?.range6);
    await publishHost(
      { store, keys, cluster },
      { id: hostId, name: hostName },
      { boot, uplink: own },
      foreign,
    );
  });

  const resync = coalesce(async () => {
    if (!established) return;
    try {
      await refresh();
      const told = { revision: mirror.revision, epoch: epoch.current() };
      await memory.tellAgain();
      if (mirror.connected && !memory.keepsAll()) await settling.look();
      seen.note(told);
    } catch (error) {
      readiness.report(explain(error));
      log.warn({ reason: explain(error) }, 'a resync failed and will be repeated');
    }
  });

  /** Takes something away in the store. Docker would only log a failure; the settlement makes up for it. */
  async function giveBack(what: string, task: () => Promise<void>): Promise<void> {
    try {
      if (connected()) return await task();
      log.warn({ what }, 'will be given back when this host takes part again');
    } catch (error) {
      log.warn({ what, reason: explain(error) }, 'will be given back later');
    }
  }

  refresh().catch((error: unknown) => log.warn({ reason: explain(error) }, 'no uplink yet'));
  const following = follow();
  const bearsOnUplink = (change: HostChange) =>
    change.kind !== 'link' || change.name === uplink.current()?.link;
  const endUpheavals = afterUpheavals(kernel, bearsOnUplink, () => void resettle());
  const timer = setInterval(() => void resync(), resyncMs);

  return {
    network: { ...networks, ...endpoints, ...publications },
    addresses,
    ...{ hostId, ledger, recipes, nameBook },
    tending: tendingOf({
      ...{ ipam, cluster, ledger, announcements, memory, neighbourhood, passes, reconciler, hostName },
      ...{ settlement: settling, uplink: uplink.current, ready, resync },
      trouble: () => readiness.trouble,
    }),
    async close() {
      clearInterval(timer);
      memory.close();
      endUpheavals();
      stopping.abort();
      reconciler.close();
      await Promise.all([following, heartbeat]);
      await store.close();
      kernel.close();
    },
  };
}
