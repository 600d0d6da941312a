/**
 * What the hosts call a pool: its subnet, as long as no other pool overlaps it (`10.77.0.0/16`). One that overlaps
 * others belongs to a network that has a segment of its own, and bears that network's name (`10.77.0.0/16@blue`).
 */
import { contains, type Prefix, parseAddress, parsePrefix } from './address.ts';

export interface PoolName {
  readonly cidr: string;
  readonly prefix: Prefix;
  /** Key of the network whose own it is. */
  readonly network?: string;
}

/** @throws WeftError `invalid` */
export function parsePoolName(name: string): PoolName {
  const end = name.indexOf('@');
  if (end < 0) return { cidr: name, prefix: parsePrefix(name) };
  const cidr = name.slice(0, end);
  return { cidr, prefix: parsePrefix(cidr), network: name.slice(end + 1) };
}

export function isPoolName(text: string): boolean {
  try {
    return parsePoolName(text).network !== '';
  } catch {
    return false;
  }
}

export function ownPoolName(cidr: string, network: string): string {
  return `${cidr}@${network}`;
}

/** The names of a network's pools, in its order. */
export function poolNamesOf(network: {
  readonly key: string;
  readonly pools: readonly string[];
  readonly own?: readonly string[];
}): string[] {
  const { key, pools, own = [] } = network;
  return pools.map((cidr) => (own.includes(cidr) ? ownPoolName(cidr, key) : cidr));
}

/** The one of these, by name, in which the address lies. */
export function poolWith(names: readonly string[], address: string): string | undefined {
  return names.find((name) => contains(parsePoolName(name).prefix, parseAddress(address)));
}
