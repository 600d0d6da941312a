/**
 * This host among the others: it hears what the store tells, makes itself known, and puts right what came apart while
 * one of the two was away. Once it has done so for the first time, the way to the kernel is open.
 */
import { explain } from '../errors.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { refillSpares } from '../ipam/provision.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { coalesce } from './coalesce.ts';
import type { Epoch } from './epoch.ts';
import { worthTelling } from './foreign-routes.ts';
import { isOfCopy, keepAlive, publishHost } from './host-record.ts';
import type { LastKnown } from './last-known.ts';
import type { Ledger } from './ledger.ts';
import type { Memory } from './memory.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { OwnUplink } from './own-uplink.ts';
import type { Readiness } from './readiness.ts';
import type { Reconciler } from './reconciler.ts';
import { recoverLedger } from './recovery.ts';
import type { SeenRevision } from './seen-revision.ts';
import type { Settlement } from './settlement.ts';
import { watchGround } from './upheaval.ts';

export interface PresenceParts {
  readonly ipam: Ipam;
  readonly hostName: string;
  /** As `bootId` tells it. */
  readonly boot: string;
  readonly resyncMs: number;
  readonly kernel: Kernel;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly lastKnown: LastKnown;
  readonly seen: SeenRevision;
  readonly epoch: Epoch;
  readonly memory: Memory;
  readonly neighbourhood: Neighbourhood;
  readonly uplink: OwnUplink;
  readonly reconciler: Reconciler;
  readonly readiness: Readiness;
  readonly settling: Settlement;
  /** The host takes part from now on. */
  readonly established: () => void;
  readonly log: Log;
}

export interface Presence {
  /** Whether what is done in the store is this host's, and can be. */
  readonly isConnected: boolean;
  /** The store has not answered when it was last asked; it may not have been asked yet. */
  readonly isAway: boolean;
  /** Compares what Docker, the store and this host know, now; never fails. */
  resync(): Promise<void>;
  /** Whether there is another machine by this one's id: then what the store has in its name may be that one's. */
  isCopied(): boolean;
  close(): Promise<void>;
}

const establishRetryMs = 1_000;

export function presenceOf(parts: PresenceParts): Presence {
  const { ipam, kernel, cluster, ledger, lastKnown, seen, epoch, memory, neighbourhood } = parts;
  const { uplink, reconciler, readiness, log } = parts;
  const { store, mirror, keys, hostId } = ipam;
  const stopping = new AbortController();
  /** The cluster's state is known here, and this host known to the cluster, or will be when the store is back. */
  let isEstablished = false;
  let isAway = false;
  let establishing: NodeJS.Timeout | undefined;
  /** Ends with the signal. */
  let heartbeat: Promise<void> | undefined;

  function isCopied(): boolean {
    const [known, own] = [cluster.host(hostId), uplink.current()];
    return known !== undefined && own !== undefined && isOfCopy(known, { boot: parts.boot, uplink: own });
  }

  function isConnected(): boolean {
    return isEstablished && mirror.connected && !isCopied();
  }

  async function follow(): Promise<void> {
    for await (const notice of store.watch(keys.root, stopping.signal, keys.unwatched)) {
      isAway = notice.type === 'lost';
      if (notice.type === 'lost' && !stopping.signal.aborted) {
        readiness.report(`the store is away: ${notice.cause.message}`);
        log.warn(
          { reason: explain(notice.cause) },
          'the store is away; traffic and running containers are not affected',
        );
        if (lastKnown.recall()) void establish();
      }
      const wasAway = !mirror.connected;
      const wasRecalled = lastKnown.isInUse;
      const last = mirror.complete && !wasRecalled ? mirror.revision : seen.before.revision;
      const wentBack = notice.type === 'snapshot' && notice.revision < last;
      mirror.apply(notice);
      const isLost = mirror.connected && memory.compare(wentBack);
      // What hosts are led to is told after where they are.
      if (isConnected() && (wasAway || isLost)) {
        void resettle().then(() => memory.tellAgain());
      }
      if (notice.type !== 'snapshot') continue;
      if (wasRecalled) reconciler.markAll();
      void establish();
    }
  }

  /** Once the cluster's state is here: makes this host known, and opens the way to the kernel. */
  const establish = coalesce(async () => {
    if (isEstablished || stopping.signal.aborted) return;
    try {
      await refresh();
      // What was known once may have been removed since.
      if (mirror.connected) await recoverLedger({ hostId, cluster, ledger, log });
      await neighbourhood.recall();
      isEstablished = true;
      heartbeat = keepAlive(
        { store, keys },
        hostId,
        (error) => log.debug({ reason: explain(error) }, 'not announced yet'),
        stopping.signal,
      );
      reconciler.open();
      void neighbourhood.probe(stopping.signal);
      readiness.check();
      parts.established();
      log.info({ host: hostId, ...uplink.current() }, 'this host takes part');
      if (mirror.connected) await memory.tellAgain();
    } catch (error) {
      readiness.report(explain(error));
      log.warn({ reason: explain(error) }, 'this host cannot take part yet');
      clearTimeout(establishing);
      establishing = setTimeout(() => void establish(), establishRetryMs).unref();
    }
  });

  /** Something of this host's network has changed that may bear on the way to the others. */
  async function resettle(): Promise<void> {
    if (!isEstablished) return;
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
    const foreign = worthTelling(await ipam.routes(), ipam.automatic, cluster.config()?.range6);
    await publishHost(
      { store, keys, cluster },
      { id: hostId, name: parts.hostName },
      { boot: parts.boot, uplink: own },
      foreign,
    );
  });

  const resync = coalesce(async () => {
    if (!isEstablished) return;
    try {
      await refresh();
      if (!mirror.connected) return;
      const told = { revision: mirror.revision, epoch: epoch.current() };
      await memory.tellAgain();
      if (!memory.keepsAll()) await parts.settling.look();
      await refillSpares(ipam);
      lastKnown.keep();
      seen.note(told);
    } catch (error) {
      readiness.report(explain(error));
      log.warn({ reason: explain(error) }, 'a resync failed and will be repeated');
    }
  });

  refresh().catch((error: unknown) => log.warn({ reason: explain(error) }, 'no uplink yet'));
  const following = follow();
  const endWatch = watchGround(kernel, (link) => link === uplink.current()?.link, {
    unsettled: () => void resettle(),
    robbed: (scope) => reconciler.suspect(scope),
  });
  const timer = setInterval(() => void resync(), parts.resyncMs);

  return {
    get isConnected() {
      return isConnected();
    },
    get isAway() {
      return isAway;
    },
    resync,
    isCopied,
    async close() {
      clearInterval(timer);
      clearTimeout(establishing);
      endWatch();
      stopping.abort();
      await Promise.all([following, heartbeat]);
    },
  };
}
