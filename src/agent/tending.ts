/** What a person can ask of weft on this host, as far as Docker's API is not needed for it. */
import type { Ipam } from '../ipam/ipam.ts';
import type { Announcements } from './announcements.ts';
import { audit } from './audit.ts';
import type { Cluster } from './cluster.ts';
import { type RemovedHost, removeHost } from './host-removal.ts';
import { inventoryOf } from './inventory.ts';
import type { Ledger } from './ledger.ts';
import type { Memory } from './memory.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import type { Passes } from './passes.ts';
import type { Reconciler } from './reconciler.ts';
import type { LeftoverCount, LeftoverKind, Settlement } from './settlement.ts';
import type { Uplink } from './underlay.ts';
import { untold } from './untold.ts';

/** Another host, and how packets get there. */
export interface PeerStatus {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** Whether it is heard of. */
  readonly alive: boolean;
  /** Whether routed networks that choose by themselves send to it without encapsulation; why, and since when. */
  readonly direct: boolean;
  readonly reason: string;
  /** ISO 8601. */
  readonly since: string;
}

export interface AgentStatus {
  readonly id: string;
  readonly name: string;
  /** Absent: not found yet. */
  readonly uplink?: Uplink;
  /** Whether the store answers; where it does not, its last state is known. */
  readonly storeConnected: boolean;
  /** Why calls of Docker's that need the store are refused just now; absent: they are not. */
  readonly trouble?: string;
  /** Why packets take no shortcut; absent: those that may do. */
  readonly noShortcut?: string;
  /** On this host. */
  readonly networks: readonly { readonly key: string; readonly fabric: string; readonly endpoints: number }[];
  readonly peers: readonly PeerStatus[];
  readonly leftovers: Readonly<Record<LeftoverKind, LeftoverCount>>;
  /** Changes to the kernel that nobody had announced, since weft started. */
  readonly driftRepaired: number;
}

export interface Tending {
  status(): Promise<AgentStatus>;
  /**
   * What does not agree just now, a sentence each, of the store, this host's records, and the kernel. What is
   * being made or taken away at the moment is among it.
   * @throws WeftError when the store is away
   */
  disagreements(): Promise<string[]>;
  /** Tells the store what it lacks, gives back what was left over at an earlier look too, repairs the kernel. */
  putRight(): Promise<void>;
  /** @throws as `removeHost` */
  removeHost(wanted: string): Promise<RemovedHost>;
}

export interface TendingParts {
  readonly ipam: Ipam;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly announcements: Announcements;
  readonly memory: Pick<Memory, 'keepsAll'>;
  readonly settlement: Pick<Settlement, 'leftovers' | 'counts'>;
  readonly neighbourhood: Pick<Neighbourhood, 'standing'>;
  readonly passes: Pick<Passes, 'scopes' | 'differences'>;
  readonly reconciler: Pick<Reconciler, 'settle' | 'driftRepaired'>;
  readonly hostName: string;
  readonly uplink: () => Uplink | undefined;
  readonly noShortcut?: string;
  /** @throws WeftError `unavailable` when this host cannot work */
  readonly ready: () => Promise<void>;
  /** What stands in its way; undefined: nothing. */
  readonly trouble: () => string | undefined;
  /** A look at everything but the kernel, as the clock has it taken now and then. */
  readonly resync: () => Promise<void>;
}

export function tendingOf(parts: TendingParts): Tending {
  const { ipam, cluster, ledger, settlement, passes, reconciler } = parts;
  const { hostId, keys, mirror, store } = ipam;

  async function peers(): Promise<PeerStatus[]> {
    const alive = new Set(cluster.alive());
    return (await parts.neighbourhood.standing()).map(({ id, name, address, direct }) => {
      const { passes: isDirect, reason, sinceMs } = direct;
      const since = new Date(sinceMs).toISOString();
      return { id, name, address, alive: alive.has(id), direct: isDirect, reason, since };
    });
  }

  /** But for empty blocks, which contradict nothing. */
  async function leftovers(): Promise<string[]> {
    if (parts.memory.keepsAll()) return ['the store has lost data, and the hosts are telling it again'];
    return (await settlement.leftovers())
      .filter(({ kind }) => kind !== 'block')
      .map(({ name }) => `this host has ${name}, for nobody`);
  }

  return {
    async status() {
      const [uplink, trouble] = [parts.uplink(), parts.trouble()];
      const endpointsOn = (id: string) =>
        ledger.endpoints.all().filter(({ network }) => network === id).length;
      return {
        ...{ id: hostId, name: parts.hostName, storeConnected: mirror.connected },
        ...(uplink !== undefined && { uplink }),
        ...(trouble !== undefined && { trouble }),
        ...(parts.noShortcut !== undefined && { noShortcut: parts.noShortcut }),
        networks: ledger.networks
          .all()
          .map(({ id, key, fabric }) => ({ key, fabric, endpoints: endpointsOn(id) })),
        peers: uplink === undefined ? [] : await peers(),
        leftovers: settlement.counts(),
        driftRepaired: reconciler.driftRepaired,
      };
    },

    async disagreements() {
      await parts.ready();
      const { entries } = await store.list(keys.root);
      const inventory = inventoryOf(entries, keys);
      return [
        ...audit(inventory, ipam.now()),
        ...untold(ledger, hostId, inventory),
        ...(await leftovers()),
        ...(await passes.differences()),
      ];
    },

    async putRight() {
      await parts.ready();
      await parts.resync();
      for (const scope of await passes.scopes()) await reconciler.settle(scope);
    },

    async removeHost(wanted) {
      await parts.ready();
      return removeHost(ipam, parts, wanted);
    },
  };
}
