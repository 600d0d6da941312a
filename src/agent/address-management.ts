/** What addresses are managed with on this host. */
import { randomUUID } from 'node:crypto';
import type { Ipam } from '../ipam/ipam.ts';
import type { AutomaticSubnets } from '../ipam/range.ts';
import { Vacancies } from '../ipam/vacancies.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Prefix } from '../model/address.ts';
import { keyedQueue } from '../model/queue.ts';
import { systemClock } from '../store/clock.ts';
import type { Cluster } from './cluster.ts';
import { foreignRoutes, routesOf } from './foreign-routes.ts';
import { type Ledger, usesAddress } from './ledger.ts';

export interface AddressRules {
  readonly automaticSubnets: AutomaticSubnets;
  readonly blockSize: number;
  readonly excludedRanges: readonly Prefix[];
  readonly addressRestMs: number;
}

export function addressManagement(
  of: Pick<Ipam, 'store' | 'mirror' | 'blocks' | 'keys' | 'hostId' | 'spares'> & {
    readonly cluster: Cluster;
    readonly ledger: Ledger;
    readonly kernel: Kernel;
    readonly rules: AddressRules;
  },
): Ipam {
  const { cluster, ledger, kernel, rules, ...shared } = of;
  return {
    ...shared,
    queue: keyedQueue(),
    vacancies: new Vacancies(),
    hostName: (id) => cluster.host(id)?.name ?? id,
    network: (key) => cluster.network(key),
    inUse: (pool, address) => usesAddress(ledger, pool, address),
    routes: async () => foreignRoutes(await kernel.mainRoutes()),
    routesElsewhere: () => routesOf(cluster.hosts().filter(({ id }) => id !== shared.hostId)),
    automatic: rules.automaticSubnets,
    blockSize: rules.blockSize,
    excluded: rules.excludedRanges,
    restMs: rules.addressRestMs,
    now: Date.now,
    clock: systemClock,
    random: Math.random,
    // Its last 48 bits are random, and drawn in advance: a call of `randomBytes` takes as long as all of the arithmetic.
    randomId: () => randomUUID().slice(-12),
  };
}
