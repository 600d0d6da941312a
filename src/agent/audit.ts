/**
 * What does not agree in the store itself, whichever host it is of: a sentence each. Pure. Records that are of
 * several keys are written by one transaction, so what is found here is damage, a defect, or a host that is gone.
 */
import { isDeepStrictEqual } from 'node:util';
import { contains, overlaps, type Prefix, parsePrefix, printAddress } from '../model/address.ts';
import { type Block, claimOf, holderOf, holdersOf, offsetsIn } from '../model/block-record.ts';
import { shortId } from '../model/names.ts';
import { parsePoolName, poolNamesOf, poolWith } from '../model/pool-name.ts';
import type { Endpoint } from '../model/records.ts';
import type { Inventory } from './inventory.ts';

/** Each host gives back what it holds for nobody, long before. */
const leakAfterMs = 10 * 60_000;

export function audit(inventory: Inventory, nowMs: number): string[] {
  return [
    ...inventory.unreadable.map(({ key, reason }) => `the record ${key} cannot be used: ${reason}`),
    ...goneHosts(inventory),
    ...networksWithout(inventory),
    ...poolsWithout(inventory),
    ...blocksAstray(inventory),
    ...claimsAstray(inventory),
    ...addressesTwice(inventory),
    ...endpointsWithout(inventory),
    ...addressesWithout(inventory, nowMs),
  ];
}

/** Of hosts that are not registered: for each, one sentence. */
function goneHosts({ hosts, participants, references, blocks, endpoints }: Inventory): string[] {
  const mentioned = [
    ...participants.map(({ participant }) => participant.host),
    ...references.map(({ host }) => host),
    ...blocks.flatMap((block) => holdersOf(claimOf(block))),
    ...endpoints.map(({ host }) => host),
  ];
  return [...new Set(mentioned)]
    .filter((id) => !hosts.has(id))
    .map(
      (id) => `host ${id} is not registered, and networks or addresses are held for it: weft host rm ${id}`,
    );
}

function networksWithout({ networks, participants, pools, recipes }: Inventory): string[] {
  const inhabited = new Set(participants.map(({ network }) => network));
  const vnis = new Map<number, string>();
  const found: string[] = [];
  for (const network of networks.values()) {
    const { key, vni } = network;
    if (!inhabited.has(key)) found.push(`network ${key} is in the store, and no host takes part in it`);
    for (const pool of poolNamesOf(network)) {
      if (pools.get(pool)?.network === key) continue;
      found.push(`network ${key} has subnet ${pool}, which the store does not have for it`);
    }
    const other = vni === undefined ? undefined : vnis.get(vni);
    if (other !== undefined) found.push(`networks ${other} and ${key} both have VNI ${vni}`);
    if (vni !== undefined) vnis.set(vni, key);
  }
  const unknown = [...inhabited].filter((key) => !networks.has(key));
  return [
    ...found,
    ...unknown.map((key) => `hosts take part in network ${key}, which is not in the store`),
    ...recipes
      .filter(({ network }) => !networks.has(network))
      .map(
        ({ name, network }) =>
          `network ${name} is to be on all hosts, but its ${network} is not in the store`,
      ),
  ];
}

function poolsWithout({ networks, pools, references }: Inventory): string[] {
  const referred = new Set(references.map(({ pool }) => pool));
  const names = [...pools.keys()];
  const shared = names
    .filter((name) => parsePoolName(name).network === undefined)
    .map((name) => ({ name, ...parsePoolName(name) }));
  return [
    ...names
      .filter((name) => !referred.has(name))
      .map((name) => `subnet ${name} is in the store, and no host uses it`),
    ...[...referred]
      .filter((name) => !pools.has(name))
      .map((name) => `hosts use subnet ${name}, which is not in the store`),
    ...[...pools].flatMap(([name, { network }]) =>
      network === undefined || networks.has(network)
        ? []
        : [`subnet ${name} is network ${network}'s, which is not in the store`],
    ),
    ...overlapping(shared).map(([one, other]) => `subnets ${one} and ${other} overlap`),
  ];
}

function blocksAstray({ pools, blocks }: Inventory): string[] {
  const astray = blocks.filter(
    ({ pool, cidr }) => !pools.has(pool) || !contains(parsePoolName(pool).prefix, parsePrefix(cidr)),
  );
  const byPool = Map.groupBy(blocks, ({ pool }) => pool);
  return [
    ...astray.map(({ pool, cidr }) => `block ${cidr} is of subnet ${pool}, which does not have it`),
    ...[...byPool].flatMap(([pool, ofPool]) =>
      overlapping(ofPool.map(({ cidr }) => ({ name: cidr, prefix: parsePrefix(cidr) }))).map(
        ([one, other]) => `blocks ${one} and ${other} of subnet ${pool} overlap`,
      ),
    ),
  ];
}

/** Other hosts than the owner know of a block only what its claim says. */
function claimsAstray({ claims, blocks }: Inventory): string[] {
  const at = ({ pool, cidr }: { pool: string; cidr: string }) => `block ${cidr} of subnet ${pool}`;
  const told = new Map(claims.map((claim) => [at(claim), claim]));
  const known = new Set(blocks.map(at));
  return [
    ...blocks
      .filter((block) => !isDeepStrictEqual(told.get(at(block)), claimOf(block)))
      .map((block) => {
        const is = told.has(at(block)) ? 'are told otherwise' : 'are not told';
        return `${at(block)} is host ${block.owner}'s, and the hosts ${is}`;
      }),
    ...claims
      .filter((claim) => !known.has(at(claim)))
      .map((claim) => `${at(claim)} is told to be host ${claim.owner}'s, and is not in the store`),
  ];
}

function addressesTwice({ endpoints }: Inventory): string[] {
  const users = new Map<string, Endpoint>();
  const found: string[] = [];
  for (const endpoint of endpoints) {
    for (const address of endpoint.addresses) {
      const what = `address ${address} of network ${endpoint.network}`;
      const other = users.get(what);
      users.set(what, endpoint);
      if (other === undefined) continue;
      found.push(`${what} is used twice, by ${nameOf(other)} and by ${nameOf(endpoint)}`);
    }
  }
  return found;
}

/** Endpoints of no network, with addresses that are not their host's; and names of no endpoint. */
function endpointsWithout(inventory: Inventory): string[] {
  const { networks, blocks, endpoints, names } = inventory;
  const holders = new Map(blocks.flatMap(addressesOf).map(({ at, holder }) => [at, holder.host]));
  const known = new Set(endpoints.map(({ network, id }) => `${network} ${id}`));
  return [
    ...endpoints
      .filter(({ network }) => !networks.has(network))
      .map((endpoint) => `${nameOf(endpoint)} is of network ${endpoint.network}, which is not in the store`),
    ...usesOf(inventory)
      .filter(({ at, endpoint }) => holders.get(at) !== endpoint.host)
      .map(({ at, endpoint, address }) => {
        const holder = holders.get(at);
        const instead = holder === undefined ? 'is held for nobody' : `is held for host ${holder}`;
        return `${nameOf(endpoint)} uses address ${address} of network ${endpoint.network}, which ${instead}`;
      }),
    ...names
      .filter(({ network, endpoint }) => !known.has(`${network} ${endpoint}`))
      .map(
        ({ network, endpoint }) =>
          `endpoint ${endpoint} of network ${network} has names, and is not in the store`,
      ),
  ];
}

/** Addresses that a host holds for no endpoint, and those that nobody should have. */
function addressesWithout(inventory: Inventory, nowMs: number): string[] {
  const { pools, blocks } = inventory;
  const used = new Set(usesOf(inventory).map(({ at }) => at));
  return blocks.flatMap(addressesOf).flatMap(({ pool: name, address, at, holder }) => {
    const pool = pools.get(name);
    const what = `address ${address} of subnet ${name} is held for host ${holder.host}`;
    if (pool?.gateway === address) return [`${what}, and is the gateway`];
    if (pool?.reserved.includes(address)) return [`${what}, and is set aside (--aux-address)`];
    if (used.has(at) || nowMs - holder.sinceMs < leakAfterMs) return [];
    return [`${what}, and no container has it`];
  });
}

/** Each address of each endpoint whose network is known, and which of what pool it is (`at`). */
function usesOf({ networks, endpoints }: Inventory) {
  return endpoints.flatMap((endpoint) => {
    const network = networks.get(endpoint.network);
    if (network === undefined) return [];
    const pools = poolNamesOf(network);
    return endpoint.addresses.map((address) => {
      return { endpoint, address, at: `${address} of ${poolWith(pools, address)}` };
    });
  });
}

function addressesOf(block: Block) {
  const { pool, cidr } = block;
  const { family, first } = parsePrefix(cidr);
  return offsetsIn(block).flatMap((offset) => {
    const holder = holderOf(block, offset);
    const address = printAddress({ family, value: first + BigInt(offset) });
    return holder === undefined ? [] : [{ pool, address, at: `${address} of ${pool}`, holder }];
  });
}

/** Each that lies in another (prefixes overlap in no other way), after that one. */
function overlapping(
  prefixes: readonly { readonly name: string; readonly prefix: Prefix }[],
): [string, string][] {
  const sorted = prefixes.toSorted(({ prefix: a }, { prefix: b }) => {
    if (a.family !== b.family) return a.family - b.family;
    return a.first === b.first ? a.length - b.length : a.first < b.first ? -1 : 1;
  });
  const found: [string, string][] = [];
  let [outer] = sorted;
  for (const inner of sorted.slice(1)) {
    if (outer !== undefined && overlaps(outer.prefix, inner.prefix)) found.push([outer.name, inner.name]);
    else outer = inner;
  }
  return found;
}

function nameOf({ id, host }: Endpoint): string {
  return `endpoint ${shortId(id)} of host ${host}`;
}
