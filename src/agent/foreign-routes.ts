/** Where hosts go by routes that are not weft's: no automatic subnet may overlap those of any host. */
import type { AutomaticSubnets } from '../ipam/range.ts';
import type { ForeignRoute } from '../ipam/subnet.ts';
import type { MainRoute } from '../kernel/kernel.ts';
import { overlaps, type Prefix, parsePrefix } from '../model/address.ts';
import type { Host } from '../model/records.ts';

/** This host's, the default routes left out. */
export function foreignRoutes(routes: readonly MainRoute[]): Prefix[] {
  return routes
    .filter(({ own }) => !own)
    .map(({ destination }) => parsePrefix(destination))
    .filter(({ length }) => length > 0);
}

/**
 * Those that others need to know of, as an automatic subnet could overlap them.
 * @param range6 the cluster's own, as far as it has one
 */
export function worthTelling(
  routes: readonly Prefix[],
  automatic: AutomaticSubnets,
  range6: string | undefined,
): Prefix[] {
  const drawn = range6 === undefined ? [] : [parsePrefix(range6)];
  const set = automatic[6];
  const ranges = [automatic[4].range, ...(set === undefined ? drawn : [set.range])];
  return routes.filter((route) => ranges.some((range) => overlaps(range, route)));
}

/** What hosts have told of theirs. */
export function routesOf(hosts: readonly Host[]): ForeignRoute[] {
  return hosts.flatMap(({ name, routes = [] }) =>
    routes.map((cidr) => ({ prefix: parsePrefix(cidr), host: name })),
  );
}
