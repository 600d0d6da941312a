/**
 * What a store has forgotten (wiped, or restored from a backup), this host tells it again, from the ledger:
 * its pools, networks, addresses and endpoints, by the same transactions that made them. And what it was never told,
 * since it was away: the endpoints made meanwhile.
 */
import { explain } from '../errors.ts';
import { assignAddress, isOwnAddress } from '../ipam/addresses.ts';
import { parsePoolId } from '../ipam/holdings.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { givenAddresses } from '../ipam/outage.ts';
import { requestPool } from '../ipam/pools.ts';
import { reserveAddress, reserveGateway } from '../ipam/reservations.ts';
import type { Log } from '../log.ts';
import { contains, familyOf, parseAddress, parsePrefix } from '../model/address.ts';
import { poolNamesOf } from '../model/pool-name.ts';
import type { Announcements } from './announcements.ts';
import type { Cluster } from './cluster.ts';
import { coalesce } from './coalesce.ts';
import type { Epoch } from './epoch.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork, LedgerPool } from './ledger.ts';
import type { Membership } from './membership.ts';
import { networkOf } from './views.ts';

export interface MemoryParts {
  readonly hostId: string;
  readonly ipam: Ipam;
  readonly cluster: Cluster;
  readonly epoch: Pick<Epoch, 'hasTurned'>;
  readonly ledger: Ledger;
  readonly membership: Membership;
  readonly announcements: Announcements;
  /** What is in the store again may be offered again. */
  readonly told: () => void;
  /** From now on, what nobody has told again goes. */
  readonly over: () => void;
  readonly log: Log;
}

export interface Memory {
  /**
   * To be called with what the store answers now; `wentBack`: its revision is less than it was.
   * @returns whether it was now found to have lost data
   */
  compare(wentBack: boolean): boolean;
  /**
   * Whether the other hosts may still have to tell again as well. Until they have, nothing may be taken out of the kernel
   * because the store does not know of it, and nothing be given out because the store has it free.
   */
  keepsAll(): boolean;
  /** Tells the store what it was found to lack, or missed. Never fails: what cannot be told is in the log, and tried again. */
  tellAgain(): Promise<void>;
  close(): void;
}

/** Longer than hosts take to come back to a store that has lost its data. */
const keepMs = 60_000;

export function memoryOf(parts: MemoryParts): Memory {
  const { hostId, ipam, cluster, epoch, ledger, membership, announcements, log } = parts;
  let isLacking = false;
  let keeping: NodeJS.Timeout | undefined;

  function compare(wentBack: boolean): boolean {
    // What a host says of itself only a store that has lost its data does not have.
    const isForgotten = cluster.host(hostId) === undefined && ledger.networks.all().length > 0;
    const hasTurned = epoch.hasTurned(wentBack);
    if (!wentBack && !hasTurned && !isForgotten) return false;
    const isNews = !isLacking;
    if (isNews) {
      log.error('the store has lost data (it was wiped, or restored from a backup), and is told again');
    }
    isLacking = true;
    keeping ??= setTimeout(() => {
      keeping = undefined;
      parts.over();
    }, keepMs);
    return isNews;
  }

  /**
   * Lost while weft did not look, or not told to the end before it was killed: what the ledger has was in the store first,
   * or was announced with its Join, and nobody else takes it back.
   */
  function lacksAny(): boolean {
    const lacksNetworks = ledger.networks.all().some((network) => !takesPart(network));
    return lacksNetworks || lacksEndpoints();
  }

  function takesPart({ id, key }: LedgerNetwork): boolean {
    return cluster.participant(key, hostId)?.dockerNetworks.includes(id) === true;
  }

  function lacksEndpoints(): boolean {
    return ledger.endpoints.all().some(({ id, network, sandbox }) => {
      const key = ledger.networks.get(network)?.key;
      return sandbox !== undefined && key !== undefined && cluster.endpoint(key, id) === undefined;
    });
  }

  /** While the store was away: by what they were given then. */
  function madeInOutage(): LedgerEndpoint[] {
    const given = new Set(givenAddresses(ipam).map(({ pool, address }) => `${address} of ${pool}`));
    if (given.size === 0) return [];
    return ledger.endpoints.all().filter(({ network: id, addresses }) => {
      const network = ledger.networks.get(id);
      const pools = network === undefined ? [] : poolNamesOf(network);
      return addresses.some((address) => pools.some((pool) => given.has(`${address} of ${pool}`)));
    });
  }

  const tellAgain = coalesce(async () => {
    if (!isLacking) {
      for (const endpoint of madeInOutage()) {
        await tell(`endpoint ${endpoint.id}`, () => tellEndpoint(endpoint));
      }
    }
    if (!isLacking && !lacksAny()) return;
    isLacking = false;
    for (const pool of ledger.pools.all()) await tell(`pool ${pool.cidr}`, () => tellPool(pool));
    for (const network of ledger.networks.all()) {
      await tell(`network ${network.key}`, () => tellNetwork(network));
    }
    for (const endpoint of ledger.endpoints.all()) {
      await tell(`endpoint ${endpoint.id}`, () => tellEndpoint(endpoint));
    }
    parts.told();
  });

  async function tell(what: string, task: () => Promise<unknown>): Promise<void> {
    try {
      await task();
    } catch (error) {
      isLacking = true;
      log.error({ what, reason: explain(error) }, 'the store cannot be told again what this host holds');
    }
  }

  async function tellPool({ id, cidr, range, reserve, reserved = [] }: LedgerPool): Promise<void> {
    const known = parsePoolId(id);
    if (known === undefined) return;
    const { name, network, reference } = known;
    const options = {
      ...(network !== undefined && { 'weft.network': network }),
      ...(reserve !== undefined && { 'weft.reserve': reserve }),
    };
    const request = { pool: cidr, name, options, family: familyOf(cidr), ...(range && { range }) };
    await requestPool(ipam, request, reference);
    for (const address of reserved) await reserveAddress(ipam, id, address);
  }

  async function tellNetwork(network: LedgerNetwork): Promise<void> {
    if (!takesPart(network)) {
      const { v: _, key, internal, pools, own = [], ...options } = networkOf(network);
      const joined = { key, dockerNetwork: network.id, internal, pools, own };
      await membership.join({ ...joined, options: { ...options, network: key } });
    }
    for (const gateway of network.gateways ?? []) {
      const [address = ''] = gateway.split('/');
      const pool = poolOf(network.id, address);
      if (pool !== undefined) await reserveGateway(ipam, pool.id, address);
    }
  }

  async function tellEndpoint({ id, network: dockerNetwork, mac, addresses }: LedgerEndpoint): Promise<void> {
    const network = ledger.networks.get(dockerNetwork);
    if (network === undefined) return;
    for (const address of addresses) {
      const pool = poolOf(dockerNetwork, address);
      const name = parsePoolId(pool?.id ?? '')?.name;
      if (pool === undefined || name === undefined) continue;
      if (await isOwnAddress(ipam, name, address)) continue;
      await assignAddress(ipam, pool.id, address);
    }
    if (cluster.endpoint(network.key, id) !== undefined) return;
    await announcements.announce(
      { v: 1, id, network: network.key, host: hostId, mac, addresses },
      poolNamesOf(network),
    );
  }

  function poolOf(network: string, address: string): LedgerPool | undefined {
    return ledger.pools
      .all()
      .find((pool) => pool.network === network && contains(parsePrefix(pool.cidr), parseAddress(address)));
  }

  return { compare, keepsAll: () => keeping !== undefined, tellAgain, close: () => clearTimeout(keeping) };
}
