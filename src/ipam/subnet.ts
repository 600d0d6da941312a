/** Which subnet a new reference is to: pure decisions about prefixes, and the sentences when there is none. */
import { WeftError } from '../errors.ts';
import {
  contains,
  type Family,
  lastOf,
  overlaps,
  type Prefix,
  parsePrefix,
  prefixSize,
  printPrefix,
} from '../model/address.ts';

/** Range from which networks without a subnet get one, and the prefix length of each. */
export interface SubnetRange {
  readonly range: Prefix;
  readonly length: number;
}

/** A pool of the cluster. */
export interface KnownPool {
  readonly prefix: Prefix;
  /** Key of its network; undefined: none is made with it yet. */
  readonly network: string | undefined;
}

/** Ranges of which an address means something else on every host, whatever the user wants. */
const special = [
  { prefix: parsePrefix('0.0.0.0/8'), use: '"this network"' },
  { prefix: parsePrefix('127.0.0.0/8'), use: 'loopback' },
  { prefix: parsePrefix('169.254.0.0/16'), use: 'link-local addresses' },
  { prefix: parsePrefix('224.0.0.0/4'), use: 'multicast' },
  { prefix: parsePrefix('240.0.0.0/4'), use: 'broadcast and uses yet to come' },
  { prefix: parsePrefix('::/127'), use: 'loopback and "no address"' },
  { prefix: parsePrefix('fe80::/10'), use: 'link-local addresses' },
  { prefix: parsePrefix('ff00::/8'), use: 'multicast' },
];

/** @throws WeftError `invalid` when the subnet overlaps a range that the Internet standards set apart. */
export function refuseSpecial(subnet: Prefix): void {
  const clash = special.find(({ prefix }) => overlaps(prefix, subnet));
  if (clash === undefined) return;
  throw new WeftError(
    'invalid',
    `subnet ${printPrefix(subnet)} cannot be used, because ${printPrefix(clash.prefix)} is for ${clash.use}: choose another --subnet`,
  );
}

/** @throws WeftError `invalid` */
export function refuseOutside(range: Prefix, subnet: Prefix): void {
  if (contains(subnet, range)) return;
  throw new WeftError(
    'invalid',
    `--ip-range ${printPrefix(range)} is not inside subnet ${printPrefix(subnet)}: choose a range that is, and name the subnet by --subnet`,
  );
}

/** @throws WeftError `conflict`, naming both subnets, when it overlaps another pool of the cluster. */
export function refuseOverlap(subnet: Prefix, pools: readonly KnownPool[]): void {
  const clash = pools.find((pool) => overlaps(pool.prefix, subnet));
  if (clash === undefined) return;
  const other = printPrefix(clash.prefix);
  const owner = clash.network === undefined ? ', which is in use' : ` of network "${clash.network}"`;
  throw new WeftError(
    'conflict',
    `subnet ${printPrefix(subnet)} overlaps ${other}${owner}: choose another --subnet, or --subnet ${other} to join that network; a vxlan network can have it all the same, with --ipam-opt weft.network=NAME and -o weft.network=NAME`,
  );
}

/**
 * The subnet of a network that exists already and is joined by its name.
 * @param listed the network's own pools, in its order
 * @returns undefined: the network has no pool of that family yet
 * @throws WeftError `conflict` when this host has a route into it: traffic would be torn between the two, and
 *   Docker, which looks at routes too, would ask for another subnet over and over.
 */
export function subnetOfNetwork(
  of: { readonly network: string; readonly family: Family; readonly listed: readonly Prefix[] },
  pools: readonly KnownPool[],
  routes: readonly Prefix[],
): Prefix | undefined {
  const own = pools.filter(({ network }) => network === of.network).map(({ prefix }) => printPrefix(prefix));
  const existing = new Set(pools.map(({ prefix }) => printPrefix(prefix)));
  const candidates = [...of.listed.map(printPrefix), ...own].filter((cidr) => existing.has(cidr));
  const subnet = candidates.map(parsePrefix).find(({ family }) => family === of.family);
  if (subnet === undefined) return undefined;
  const route = routes.find((other) => overlaps(other, subnet));
  if (route === undefined) return subnet;
  const cidr = printPrefix(subnet);
  throw new WeftError(
    'conflict',
    `subnet ${cidr} of network "${of.network}" overlaps this host's route to ${printPrefix(route)}: remove the route, or give --subnet ${cidr} to use it all the same`,
  );
}

/** Where a host goes by a route that is not weft's. */
export interface ForeignRoute {
  readonly prefix: Prefix;
  /** What people call the host. */
  readonly host: string;
}

/**
 * A subnet for a network that named none.
 * @param avoid routes of any host, since any may take part one day, and what the user has excluded
 * @throws WeftError `exhausted`
 */
export function automaticSubnet(
  automatic: SubnetRange,
  pools: readonly KnownPool[],
  avoid: { readonly routes: readonly ForeignRoute[]; readonly excluded: readonly Prefix[] },
): Prefix {
  const { range, length } = automatic;
  const taken = [...pools, ...avoid.routes].map(({ prefix }) => prefix);
  const subnet = nextSubnet(automatic, [...taken, ...avoid.excluded]);
  if (subnet !== undefined) return subnet;
  const used = pools.filter(({ prefix }) => overlaps(range, prefix)).length;
  const routes = avoid.routes.filter(({ prefix }) => overlaps(range, prefix));
  const [route] = routes;
  const example = route === undefined ? '' : ` (${printPrefix(route.prefix)} on ${route.host})`;
  const excluded = avoid.excluded.filter((prefix) => overlaps(range, prefix)).length;
  throw new WeftError(
    'exhausted',
    `no /${length} subnet is left in the cluster's range ${printPrefix(range)}: ${used} subnets in use, ${routes.length} routes of hosts${example} and ${excluded} excluded ranges take it up; remove networks that are not needed, set a larger range, or give the network a --subnet`,
  );
}

/** The lowest subnet of the range that overlaps none of the taken prefixes; undefined when there is none. */
export function nextSubnet({ range, length }: SubnetRange, taken: readonly Prefix[]): Prefix | undefined {
  const size = prefixSize({ ...range, length });
  let first = range.first;
  // In order of their first address, so that a taken prefix beyond the candidate leaves it free for good.
  for (const prefix of taken.filter((other) => overlaps(range, other)).sort(byFirst)) {
    if (prefix.first >= first + size) break;
    const beyond = (lastOf(prefix) / size + 1n) * size;
    if (beyond > first) first = beyond;
  }
  return first + size - 1n <= lastOf(range) ? { family: range.family, first, length } : undefined;
}

function byFirst(a: Prefix, b: Prefix): number {
  return a.first < b.first ? -1 : Number(a.first > b.first);
}
