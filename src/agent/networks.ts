/** Networks, as Docker creates and removes them on this host. */
import { explain, WeftError } from '../errors.ts';
import type { Fabric, Underlay } from '../fabric/fabric.ts';
import { defaultFabric, fabrics } from '../fabric/registry.ts';
import { parsePoolId } from '../ipam/holdings.ts';
import { contains, familyOf, parseAddress, parsePrefix } from '../model/address.ts';
import { namespaceName } from '../model/names.ts';
import { type NetworkOptions, parseNetworkOptions } from '../model/options.ts';
import { parsePoolName, poolNamesOf } from '../model/pool-name.ts';
import type { Network } from '../model/records.ts';
import type { CreateNetwork, NetworkCalls, NetworkPool } from './calls.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger, LedgerNetwork, LedgerPool } from './ledger.ts';
import { filterScope, type Scope } from './reconciler.ts';
import type { ThisHost } from './this-host.ts';

export const defaultInterfacePrefix = 'eth';

/** RFC 8200, section 5. On a link with less the kernel has no IPv6. */
const leastMtu6 = 1280;

export function networkUseCases(host: ThisHost): Pick<
  NetworkCalls,
  'needsGateway' | 'createNetwork' | 'deleteNetwork'
> & {
  /** Whether a CreateNetwork of it has begun, and not ended: the ledger may lack it yet. */
  isCreating(dockerNetwork: string): boolean;
} {
  const { ledger, membership, reconciler, cluster, log } = host;
  /** In the store perhaps, and not in the ledger yet. */
  const creating = new Set<string>();

  /** A routed network's next hop is a link-local address; a segment's way out is an address of the subnet. */
  async function needsGateway(given: Readonly<Record<string, string>>): Promise<boolean> {
    const options = parseNetworkOptions(given);
    const known = options.network === undefined ? undefined : cluster.network(options.network);
    const { fabric = defaultFabric, gateway = false } = known ?? options;
    return gateway && fabrics.get(fabric)?.isolated !== false;
  }

  async function createNetwork(request: CreateNetwork): Promise<void> {
    if (ledger.networks.get(request.id) !== undefined) return;
    creating.add(request.id);
    try {
      await create(request);
    } finally {
      creating.delete(request.id);
    }
  }

  async function create(request: CreateNetwork): Promise<void> {
    const options = parseNetworkOptions(request.options);
    const [first] = request.pools;
    if (first === undefined) {
      throw new WeftError('invalid', 'a weft network needs a subnet; leave --ipv4=false out, or add --ipv6');
    }
    refuseRepetition(request.pools);
    const held = request.pools.map((pool) => heldPool(pool, options.network));
    await host.ready();
    const cidrs = request.pools.map(({ cidr }) => cidr);
    await refuseMisfits(options, cidrs);
    const key = options.network ?? first.cidr;
    await leaveForgotten(key);
    const network = await membership.join({
      key,
      dockerNetwork: request.id,
      options,
      internal: request.internal,
      pools: cidrs,
      own: held.filter(isOwn).map(({ cidr }) => cidr),
    });
    try {
      await ledger.networks.put(describe(request, network, options));
      await keepPools(held.map((pool) => ({ ...pool, network: request.id })));
      await settleKernel(network);
    } catch (cause) {
      await deleteNetwork(request.id);
      await keepPools(held);
      throw new WeftError('kernel', `network ${key} could not be set up on this host: ${explain(cause)}`, {
        cause,
      });
    }
    log.info({ network: key, fabric: network.fabric, docker: request.id }, 'network is on this host');
    warnOfOtherFamily(network);
  }

  /** What was removed while the store was away must not stand in the way of its successor. */
  async function leaveForgotten(key: string): Promise<void> {
    const recorded = cluster.participant(key, host.id)?.dockerNetworks ?? [];
    const gone = recorded.filter((id) => ledger.networks.get(id) === undefined && !creating.has(id));
    if (gone.length > 0) await membership.leave(key, gone);
  }

  async function deleteNetwork(id: string): Promise<void> {
    const network = ledger.networks.get(id);
    // Of one that is not known there may be a file that is damaged.
    await ledger.networks.delete(id);
    if (network === undefined) return;
    // Docker removes no network that has endpoints: those still here are some that it has lost.
    const lost = ledger.endpoints.all().filter((endpoint) => endpoint.network === id);
    await Promise.all(lost.map((endpoint) => ledger.endpoints.delete(endpoint.id)));
    await Promise.all([
      settleKernel(network).catch((error: unknown) => {
        log.warn({ network: network.key, reason: explain(error) }, 'the kernel will be cleaned up later');
      }),
      host.giveBack(`network ${network.key}`, () => membership.leave(network.key, [id])),
    ]);
  }

  /** A VTEP sends to addresses of its own family. */
  function warnOfOtherFamily(network: Network): void {
    const { address } = host.underlay();
    const hosts = cluster.hosts().filter((other) => familyOf(other.address) !== familyOf(address));
    if (isShared(network) || hosts.length === 0) return;
    log.warn(
      { network: network.key, address, hosts: hosts.map((other) => `${other.name} at ${other.address}`) },
      'these hosts are known by an address of the other family and will not be reached; set WEFT_ADDRESS there or here',
    );
  }

  async function settleKernel(network: Pick<Network, 'vni'>): Promise<void> {
    const scopes = new Set([scopeOf(network), 'host', filterScope]);
    await Promise.all(Array.from(scopes, (scope) => reconciler.settle(scope)));
  }

  function describe(request: CreateNetwork, network: Network, options: NetworkOptions): LedgerNetwork {
    const { v: _, ...rest } = network;
    // Docker may have been told that it needs none, when nobody could know yet which network it would be.
    const gateways = request.pools.flatMap(
      ({ cidr, gateway }) => gateway ?? gatewayOf(cluster, network, cidr) ?? [],
    );
    return {
      id: request.id,
      ...rest,
      gateways,
      ...(needsLeg(network) ? { leg: legFor(ledger, network.key) } : {}),
      interfacePrefix: options.interfacePrefix ?? defaultInterfacePrefix,
    };
  }

  /**
   * This host's own RequestPool for the subnet, which no other network uses yet. The newest: Docker asks for it anew when
   * weft was killed over the answer, and the one before is nobody's.
   */
  function heldPool({ cidr }: NetworkPool, network: string | undefined): LedgerPool {
    const unbound = ledger.pools.all().filter((pool) => pool.cidr === cidr && pool.network === undefined);
    const isSwarms = (pool: LedgerPool) => pool.global === true;
    const held = unbound.filter((pool) => !isSwarms(pool));
    const named = held.findLast(({ id }) => network !== undefined && parsePoolId(id)?.network === network);
    const pool = named ?? held.findLast((pool) => !isOwn(pool));
    if (pool !== undefined) return pool;
    // Each host of a swarm asks on its own behalf, too; Docker outside of a swarm does not.
    if (unbound.some(isSwarms)) {
      throw new WeftError(
        'invalid',
        `subnet ${cidr} is no swarm's, and with WEFT_SCOPE=global weft serves networks of a swarm only: set WEFT_SCOPE=local, or run docker swarm init first`,
      );
    }
    throw new WeftError(
      'invalid',
      `subnet ${cidr} was not handed out by weft-ipam, so other hosts could use its addresses too; add --ipam-driver weft-ipam`,
    );
  }

  /** But for one that Docker has given back meanwhile, because the call took too long for it. */
  async function keepPools(pools: readonly LedgerPool[]): Promise<void> {
    for (const pool of pools) if (ledger.pools.get(pool.id) !== undefined) await ledger.pools.put(pool);
  }

  async function refuseMisfits(options: NetworkOptions, cidrs: readonly string[]): Promise<void> {
    const fabric = fabrics.get(options.fabric ?? defaultFabric);
    if (fabric !== undefined) refuseMtu(options, cidrs, fabric, host.underlay());
    if (fabric?.isolated === false && !host.kernel.hasIpv6()) refuseIpv6(cidrs);
    const name = cluster.host(host.id)?.name ?? host.id;
    const own = (await host.kernel.addresses()).map(({ address }) => ({ address, name }));
    for (const cidr of cidrs) {
      const subnet = parsePrefix(cidr);
      const inside = [...cluster.hosts(), ...own].find(({ address }) =>
        contains(subnet, parseAddress(address)),
      );
      if (inside === undefined) continue;
      throw new WeftError(
        'conflict',
        `subnet ${cidr} contains ${inside.address}, the address of host ${inside.name}; choose another subnet`,
      );
    }
  }

  return { needsGateway, createNetwork, deleteNetwork, isCreating: (id) => creating.has(id) };
}

/** Whether the hosts route its subnets; others have a namespace of their own. */
export function isShared({ vni }: Pick<Network, 'vni'>): boolean {
  return vni === undefined;
}

/** Whose namespace holds the network: a namespace of its own, or the host's. */
export function scopeOf({ vni }: Pick<Network, 'vni'>): Scope {
  return vni === undefined ? 'host' : namespaceName(vni);
}

/** Of one of its subnets, with prefix length, as the store has it. */
export function gatewayOf(cluster: Cluster, network: Network, cidr: string): string | undefined {
  const gateway = poolNamesOf(network)
    .filter((name) => parsePoolName(name).cidr === cidr)
    .map((name) => cluster.pool(name)?.gateway)
    .at(0);
  return gateway === undefined ? undefined : `${gateway}/${parsePrefix(cidr).length}`;
}

export function needsLeg({ gateway, fabric }: Network): boolean {
  return gateway === true && fabrics.get(fabric)?.isolated === true;
}

/** One for each network, however many Docker networks it is here. */
export function legFor({ networks }: Ledger, key: string): number {
  const own = networks.all().find((network) => network.key === key && network.leg !== undefined);
  if (own?.leg !== undefined) return own.leg;
  const taken = new Set(networks.all().map(({ leg }) => leg));
  let leg = 1;
  while (taken.has(leg)) leg += 1;
  return leg;
}

/** Whether it is one network's, which was named when it was asked for, and overlaps others. */
function isOwn({ id }: LedgerPool): boolean {
  return parsePoolId(id)?.network !== undefined;
}

/** A namespace of the network's own has IPv6 in any case. */
function refuseIpv6(cidrs: readonly string[]): void {
  const subnet = cidrs.find((cidr) => familyOf(cidr) === 6);
  if (subnet === undefined) return;
  throw new WeftError(
    'invalid',
    `subnet ${subnet} cannot be routed, because IPv6 is switched off on this host; set net.ipv6.conf.default.disable_ipv6=0 and the uplink's too, or use -o weft.fabric=vxlan`,
  );
}

function refuseRepetition(pools: readonly NetworkPool[]): void {
  const cidrs = pools.map(({ cidr }) => cidr);
  const again = cidrs.find((cidr, index) => cidrs.indexOf(cidr) !== index);
  if (again === undefined) return;
  throw new WeftError('invalid', `subnet ${again} is given twice; a network has each of its subnets once`);
}

function refuseMtu(
  { mtu, encap }: NetworkOptions,
  cidrs: readonly string[],
  fabric: Fabric,
  underlay: Underlay,
): void {
  const most = underlay.mtu - fabric.overhead(familyOf(underlay.address), encap);
  const subnet6 = cidrs.find((cidr) => familyOf(cidr) === 6);
  if (subnet6 !== undefined && (mtu ?? most) < leastMtu6) {
    throw new WeftError(
      'invalid',
      `subnet ${subnet6} cannot be used with an MTU of ${mtu ?? most} bytes, because IPv6 needs ${leastMtu6}: set weft.mtu to that at least, or leave --ipv6 out`,
    );
  }
  if (mtu === undefined || mtu <= most) return;
  throw new WeftError(
    'invalid',
    `option weft.mtu=${mtu} does not fit: the uplink carries ${underlay.mtu} bytes and fabric ${fabric.name} leaves ${most} of them`,
  );
}
