/** Networks, as Docker creates and removes them on this host. */
import { explain, WeftError } from '../errors.ts';
import type { Fabric, Underlay } from '../fabric/fabric.ts';
import { defaultFabric, fabrics } from '../fabric/registry.ts';
import { contains, parseAddress, parsePrefix } from '../model/address.ts';
import { namespaceName } from '../model/names.ts';
import { type NetworkOptions, parseNetworkOptions } from '../model/options.ts';
import type { Network } from '../model/records.ts';
import type { CreateNetwork, NetworkCalls, NetworkPool } from './calls.ts';
import type { LedgerNetwork, LedgerPool } from './ledger.ts';
import { filterScope, type Scope } from './reconciler.ts';
import type { ThisHost } from './this-host.ts';

const defaultInterfacePrefix = 'eth';

export function networkUseCases(host: ThisHost): Pick<NetworkCalls, 'createNetwork' | 'deleteNetwork'> {
  const { ledger, membership, reconciler, cluster, log } = host;

  async function createNetwork(request: CreateNetwork): Promise<void> {
    if (ledger.networks.get(request.id) !== undefined) return;
    const options = parseNetworkOptions(request.options);
    const [first] = request.pools;
    if (first === undefined) {
      throw new WeftError('invalid', 'a weft network needs a subnet; create it without --ipv4=false');
    }
    const held = request.pools.map(heldPool);
    await host.ready();
    refuseMisfits(options, request.pools);
    const key = options.network ?? first.cidr;
    const cidrs = request.pools.map(({ cidr }) => cidr);
    const network = await membership.join({
      key,
      dockerNetwork: request.id,
      options,
      internal: request.internal,
      pools: cidrs,
    });
    try {
      await ledger.networks.put(ledgerNetwork(request.id, network, options));
      for (const pool of held) await ledger.pools.put({ ...pool, network: request.id });
      await settleKernel(network);
    } catch (error) {
      await deleteNetwork(request.id);
      for (const { network: _, ...pool } of held) await ledger.pools.put(pool);
      throw error;
    }
    log.info({ network: key, fabric: network.fabric, docker: request.id }, 'network is on this host');
  }

  async function deleteNetwork(id: string): Promise<void> {
    const network = ledger.networks.get(id);
    if (network === undefined) return;
    await ledger.networks.delete(id);
    await Promise.all([
      settleKernel(network).catch((error: unknown) => {
        log.warn({ network: network.key, reason: explain(error) }, 'the kernel will be cleaned up later');
      }),
      host.giveBack(`network ${network.key}`, () => membership.leave(network.key, [id])),
    ]);
  }

  async function settleKernel(network: Pick<Network, 'vni'>): Promise<void> {
    const scopes = new Set([scopeOf(network), 'host', filterScope]);
    await Promise.all(Array.from(scopes, (scope) => reconciler.settle(scope)));
  }

  /** This host's own RequestPool for the subnet, which no other network uses yet. */
  function heldPool({ cidr }: NetworkPool): LedgerPool {
    if (parsePrefix(cidr).family === 6) {
      throw new WeftError(
        'invalid',
        `subnet ${cidr} is refused, because weft carries IPv4 only; leave --ipv6 out`,
      );
    }
    const pool = ledger.pools.all().find((held) => held.cidr === cidr && held.network === undefined);
    if (pool !== undefined) return pool;
    throw new WeftError(
      'invalid',
      `subnet ${cidr} was not handed out by weft-ipam, so other hosts could use its addresses too; add --ipam-driver weft-ipam`,
    );
  }

  function refuseMisfits(options: NetworkOptions, pools: readonly NetworkPool[]): void {
    const fabric = fabrics.get(options.fabric ?? defaultFabric);
    if (fabric !== undefined) refuseMtu(options, fabric, host.underlay());
    for (const { cidr } of pools) {
      const subnet = parsePrefix(cidr);
      const inside = cluster.hosts().find(({ address }) => contains(subnet, parseAddress(address)));
      if (inside === undefined) continue;
      throw new WeftError(
        'conflict',
        `subnet ${cidr} contains ${inside.address}, the address of host ${inside.name}; choose another subnet`,
      );
    }
  }

  return { createNetwork, deleteNetwork };
}

/** Whose namespace holds the network: a namespace of its own, or the host's. */
export function scopeOf({ vni }: Pick<Network, 'vni'>): Scope {
  return vni === undefined ? 'host' : namespaceName(vni);
}

function refuseMtu({ mtu, encap }: NetworkOptions, fabric: Fabric, underlay: Underlay): void {
  const most = underlay.mtu - fabric.overhead(parseAddress(underlay.address).family, encap);
  if (mtu === undefined || mtu <= most) return;
  throw new WeftError(
    'invalid',
    `option weft.mtu=${mtu} does not fit: the uplink carries ${underlay.mtu} bytes and fabric ${fabric.name} leaves ${most} of them`,
  );
}

function ledgerNetwork(id: string, network: Network, options: NetworkOptions): LedgerNetwork {
  const { v: _, ...rest } = network;
  return { id, ...rest, interfacePrefix: options.interfacePrefix ?? defaultInterfacePrefix };
}
