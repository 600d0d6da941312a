/**
 * What all hosts of a network agree on: decided by the first one to take part, held against what the others ask
 * for. Pure; `membership.ts` does the rest.
 */
import { WeftError } from '../errors.ts';
import { defaultFabric, fabrics } from '../fabric/registry.ts';
import { type Family, familyOf } from '../model/address.ts';
import { firstVni, tunnelVni } from '../model/names.ts';
import type { NetworkOptions } from '../model/options.ts';
import type { Network } from '../model/records.ts';
import type { Entry } from '../store/store.ts';

export interface JoinRequest {
  readonly key: string;
  readonly dockerNetwork: string;
  readonly options: NetworkOptions;
  readonly internal: boolean;
  /** CIDRs. */
  readonly pools: readonly string[];
  /** Those of them whose pools are the network's own. */
  readonly own: readonly string[];
}

/** @throws WeftError `invalid` | `conflict` for options that contradict each other, or a VNI that is taken */
export function newNetwork(
  { key, options, internal, pools, own }: JoinRequest,
  vnis: ReadonlyMap<number, string>,
): Network {
  const name = options.fabric ?? defaultFabric;
  const fabric = fabrics.get(name);
  const { mtu, encap, isolate, gateway, broadcast, vni: wished } = options;
  if (fabric?.isolated !== true && wished !== undefined) {
    throw new WeftError(
      'invalid',
      `option weft.vni=${wished} means nothing to fabric ${name}; add -o weft.fabric=vxlan`,
    );
  }
  if (fabric?.isolated !== true && broadcast === true) {
    throw new WeftError(
      'invalid',
      `option weft.broadcast=on means nothing to fabric ${name}, whose containers share no segment; add -o weft.fabric=vxlan`,
    );
  }
  if (fabric?.isolated === true && isolate === false) {
    throw new WeftError(
      'invalid',
      `option weft.isolate=off means nothing to fabric ${name}, whose networks have nothing in common; leave it out`,
    );
  }
  const [shared] = own;
  if (fabric?.isolated !== true && shared !== undefined) {
    throw new WeftError(
      'conflict',
      `subnet ${shared} overlaps another network's, and fabric ${name} can tell networks apart by their subnets only; choose another --subnet, or -o weft.fabric=vxlan`,
    );
  }
  if (internal && gateway === true) {
    throw new WeftError(
      'invalid',
      'option weft.gateway=on asks for a way out and --internal for none; leave one of them out',
    );
  }
  if (fabric?.isolated === true && encap !== undefined) {
    throw new WeftError(
      'invalid',
      `option weft.encap=${encap} means nothing to fabric ${name}, which always encapsulates; leave it out`,
    );
  }
  if (wished === tunnelVni) {
    throw new WeftError(
      'conflict',
      `VNI ${wished} is what routed networks encapsulate with; choose another, or leave weft.vni out`,
    );
  }
  const holder = wished === undefined ? undefined : vnis.get(wished);
  if (holder !== undefined) {
    throw new WeftError(
      'conflict',
      `VNI ${wished} is network ${holder}'s; choose another, or leave weft.vni out`,
    );
  }
  const vni = fabric?.isolated === true ? (wished ?? lowestFree(vnis)) : undefined;
  return {
    v: 1,
    key,
    fabric: name,
    internal,
    pools: [...pools],
    ...(own.length === 0 ? {} : { own: [...own] }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(encap === undefined || encap === 'auto' ? {} : { encap }),
    ...(vni === undefined ? {} : { vni }),
    ...(isolate === undefined ? {} : { isolate }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(broadcast === undefined ? {} : { broadcast }),
  };
}

/** @throws WeftError `conflict` naming what the request and the record say */
export function agree(network: Network, { options, internal, pools, own }: JoinRequest): Network {
  const differences = [
    ['weft.fabric', network.fabric, options.fabric],
    ['weft.vni', network.vni, options.vni],
    ['weft.mtu', network.mtu, options.mtu],
    ['weft.isolate', onOrOff(network.isolate ?? true), onOrOff(options.isolate)],
    ['weft.gateway', onOrOff(network.gateway ?? false), onOrOff(options.gateway)],
    ['weft.broadcast', onOrOff(network.broadcast ?? false), onOrOff(options.broadcast)],
    ['weft.encap', network.encap ?? 'auto', options.encap],
  ]
    .filter(([, has, asked]) => asked !== undefined && asked !== has)
    .map(([name, has, asked]) => `${name}=${has ?? 'unset'}, not ${asked}`);
  if (network.internal !== internal) {
    differences.push(`${network.internal ? '--internal' : 'no --internal'}, not the other way`);
  }
  const sorted = (cidrs: readonly string[]) => cidrs.toSorted().join(' and ');
  if (sorted(network.pools) !== sorted(pools)) {
    differences.push(
      `subnet ${sorted(network.pools)}, not ${sorted(pools)} (create it here with ${poolArguments(network.pools)})`,
    );
  } else if (sorted(network.own ?? []) !== sorted(own)) {
    differences.push(`a subnet that other networks have too (add --ipam-opt weft.network=${network.key})`);
  }
  if (differences.length === 0) return network;
  throw new WeftError(
    'conflict',
    `network ${network.key} exists with ${differences.join('; ')}; use the same everywhere, or another name`,
  );
}

function onOrOff(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : value ? 'on' : 'off';
}

/** What makes Docker ask for these subnets and no other. */
function poolArguments(cidrs: readonly string[]): string {
  const has = (family: Family) => cidrs.some((cidr) => familyOf(cidr) === family);
  return [
    ...(has(6) ? ['--ipv6'] : []),
    ...(has(4) ? [] : ['--ipv4=false']),
    ...cidrs.map((cidr) => `--subnet ${cidr}`),
  ].join(' ');
}

export function foreignSubnet(cidr: string, owner: string, key: string): WeftError {
  // A network without a name is joined by its first subnet.
  const join = owner.includes('/') ? poolArguments([owner, cidr]) : `-o weft.network=${owner}`;
  return new WeftError(
    'conflict',
    `subnet ${cidr} is network ${owner}'s and cannot be network ${key}'s too; choose another subnet, or join with ${join}`,
  );
}

/** By VNI, the network that has it. Looks into records of newer versions too: their VNIs are taken all the same. */
export function takenVnis(networks: readonly Entry[]): Map<number, string> {
  const taken = new Map<number, string>();
  for (const { value } of networks) {
    const vni = /"vni":(\d+)/.exec(value)?.[1];
    const key = /"key":"([^"]+)"/.exec(value)?.[1];
    if (vni !== undefined) taken.set(Number(vni), key ?? 'unknown');
  }
  return taken;
}

function lowestFree(taken: ReadonlyMap<number, string>): number {
  let vni = firstVni;
  while (taken.has(vni)) vni += 1;
  return vni;
}
