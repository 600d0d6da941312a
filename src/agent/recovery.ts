/**
 * What a damaged disk has lost of the ledger, this host takes from the store, where it told it once; before it does
 * anything to the kernel, which would be to take containers off a network that it does not know of any more.
 */
import { WeftError } from '../errors.ts';
import { parsePoolId } from '../ipam/holdings.ts';
import type { Log } from '../log.ts';
import { shortId } from '../model/names.ts';
import { poolNamesOf } from '../model/pool-name.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger, LedgerNetwork, LedgerPool } from './ledger.ts';
import { defaultInterfacePrefix, gatewayOf, legFor, needsLeg } from './networks.ts';

/**
 * Endpoints are not in the store with all that the ledger has of them, so those that are lost stay so.
 * @throws WeftError `internal` when a network is in neither and has containers here; or as `Shelf.put`
 */
export async function recoverLedger(of: {
  readonly hostId: string;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly log: Log;
}): Promise<void> {
  const { hostId, cluster, ledger, log } = of;

  function networkFromStore(id: string): LedgerNetwork | undefined {
    const told = cluster
      .participations(hostId)
      .find(({ participant }) => participant.dockerNetworks.includes(id));
    const network = told && cluster.network(told.network);
    if (network === undefined) return undefined;
    const { v: _, ...rest } = network;
    return {
      id,
      ...rest,
      gateways: network.pools.flatMap((cidr) => gatewayOf(cluster, network, cidr) ?? []),
      ...(needsLeg(network) && { leg: legFor(ledger, network.key) }),
      interfacePrefix: defaultInterfacePrefix,
    };
  }

  /** Its id says which it is; the store, what else was asked for. */
  function poolFromStore(id: string): LedgerPool | undefined {
    const known = parsePoolId(id);
    if (known === undefined) return undefined;
    const { name, cidr } = known;
    const told = cluster.references(hostId).find((one) => one.pool === name && one.id === known.reference);
    const { range } = told?.reference ?? {};
    const reserved = cluster.pool(name)?.reserved ?? [];
    const isServed = (network: string) =>
      ledger.pools.all().some((pool) => pool.network === network && pool.cidr === cidr);
    const network = ledger.networks
      .all()
      .find((one) => poolNamesOf(one).includes(name) && !isServed(one.id))?.id;
    return {
      id,
      cidr,
      // Of a manager of a swarm, then: held until it is released, in any case.
      ...(network === undefined ? { global: true } : { network }),
      ...(range !== undefined && { range }),
      ...(reserved.length > 0 && { reserved }),
    };
  }

  for (const { id, file } of ledger.networks.damaged()) {
    const network = networkFromStore(id);
    if (network !== undefined) {
      await ledger.networks.put(network);
      log.warn({ file, network: network.key }, 'took a network that was damaged on disk from the store');
    } else if (ledger.endpoints.all().some((endpoint) => endpoint.network === id)) {
      throw new WeftError(
        'internal',
        `the file ${file} is damaged, and the store does not know of network ${shortId(id)} either, so everything on this host stays as it is: stop the containers on that network, remove it, and make it again`,
      );
    }
  }
  for (const { id, file } of ledger.pools.damaged()) {
    const pool = poolFromStore(id);
    if (pool === undefined) continue;
    await ledger.pools.put(pool);
    log.warn({ file, subnet: pool.cidr }, 'took a subnet that was damaged on disk from the store');
  }
}
