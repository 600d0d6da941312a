import type { Underlay } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import type { Announcements } from './announcements.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import type { Membership } from './membership.ts';
import type { Passes } from './passes.ts';
import type { Reconciler } from './reconciler.ts';
import type { Views } from './views.ts';

/** What the use cases of this host work with. */
export interface ThisHost {
  readonly id: string;
  readonly underlay: () => Underlay;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly kernel: Kernel;
  readonly views: Views;
  readonly membership: Membership;
  readonly announcements: Announcements;
  readonly reconciler: Reconciler;
  readonly leadsToOthers: Passes['leadsToOthers'];
  readonly log: Log;
  /**
   * Resolves when what the cluster holds is known here.
   * @throws WeftError `unavailable` when the store stays away for longer than Docker should wait
   */
  readonly ready: () => Promise<void>;
  /** Takes something away in the store, now or later; never fails. */
  readonly giveBack: (what: string, task: () => Promise<void>) => Promise<void>;
}
