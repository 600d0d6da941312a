/** What address management works with: handed in as one object, so that everything in it can be a test's. */
import type { Prefix } from '../model/address.ts';
import type { Queue } from '../model/queue.ts';
import type { Network } from '../model/records.ts';
import type { Clock } from '../store/clock.ts';
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { AutomaticSubnets } from './range.ts';

export interface Ipam {
  /** One whose commits the mirror sees at once (`mirroring`). */
  readonly store: Store;
  /** Of pools and blocks at least. */
  readonly mirror: Mirror;
  readonly keys: Keys;
  /** One operation at a time per pool: two of the same host would only make each other fail. */
  readonly queue: Queue;
  readonly hostId: string;
  /** For sentences: what people call the host. */
  readonly hostName: (hostId: string) => string;
  readonly network: (key: string) => Network | undefined;
  /** Whether an endpoint of this host has the address (canonical text). */
  readonly inUse: (address: string) => boolean;
  /** Prefixes that this host reaches elsewhere, by routes that are not weft's; without the default routes. */
  readonly routes: () => Promise<readonly Prefix[]>;
  readonly automatic: AutomaticSubnets;
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
