import type { Underlay } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import type { Announcements } from './announcements.ts';
import type { Cluster } from './cluster.ts';
import type { Dealings } from './dealings.ts';
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
  readonly ready: Dealings['ready'];
  readonly eitherWay: Dealings['eitherWay'];
  readonly giveBack: Dealings['giveBack'];
}
