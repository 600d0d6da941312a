/** Pools and addresses, as Docker asks for them on this host. */
import { WeftError } from '../errors.ts';
import { fabrics } from '../fabric/registry.ts';
import { assignAddress, releaseAddress } from '../ipam/addresses.ts';
import { parsePoolId } from '../ipam/holdings.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { assignSpare, releaseSpare } from '../ipam/outage.ts';
import { releasePool, requestPool } from '../ipam/pools.ts';
import { reserveAddress, reserveGateway } from '../ipam/reservations.ts';
import { requestPoolForTasks, reserveForTask } from '../ipam/tasks.ts';
import {
  type Address,
  contains,
  familyOf,
  parseAddress,
  parsePrefix,
  printAddress,
} from '../model/address.ts';
import type { AddressCalls, RequestAddress } from './calls.ts';
import type { LedgerEndpoint, LedgerPool } from './ledger.ts';
import type { GiveUpLost } from './lost-endpoints.ts';
import type { ThisHost } from './this-host.ts';

export function addressUseCases(host: ThisHost, ipam: Ipam, giveUpLost: GiveUpLost): AddressCalls {
  const { ledger } = host;

  /** Prefix length of the answer: what the container's interface gets. Before there is a network: the subnet's. */
  function printed(address: string, cidr: string, pool: LedgerPool | undefined): string {
    const network = pool?.network === undefined ? undefined : ledger.networks.get(pool.network);
    const fabric = network && fabrics.get(network.fabric);
    const { family, length } = parsePrefix(cidr);
    return `${address}/${fabric?.addressLength(family, length) ?? length}`;
  }

  async function giveBackPool(poolId: string): Promise<void> {
    await ledger.pools.delete(poolId);
    await host.giveBack(`pool ${poolId}`, () => releasePool(ipam, poolId));
  }

  /** A store that loses its data is told it again. */
  async function noteReserved(poolId: string, address: string): Promise<void> {
    const pool = ledger.pools.get(poolId);
    if (pool === undefined || pool.reserved?.includes(address)) return;
    await ledger.pools.put({ ...pool, reserved: [...(pool.reserved ?? []), address] });
  }

  /**
   * The pool, and after it the others of its family that its network has here: Docker asks the first one for the
   * address of an endpoint, and takes its word that there is none.
   */
  function poolsBeside(pool: LedgerPool): LedgerPool[] {
    const isBeside = (other: LedgerPool) =>
      other.id !== pool.id && other.network === pool.network && familyOf(other.cidr) === familyOf(pool.cidr);
    if (pool.network === undefined) return [pool];
    const order = ledger.networks.get(pool.network)?.pools ?? [];
    const beside = ledger.pools.all().filter(isBeside);
    return [pool, ...beside.sort((a, b) => order.indexOf(a.cidr) - order.indexOf(b.cidr))];
  }

  /** @returns the address, and the subnet it is of. @throws WeftError `exhausted` when no pool has one */
  async function assignFrom(
    pools: readonly LedgerPool[],
    mac: string | undefined,
  ): Promise<{ readonly address: string; readonly cidr: string }> {
    const full: string[] = [];
    for (const { id, cidr } of pools) {
      try {
        return { address: await assignAddress(ipam, id, undefined, mac), cidr };
      } catch (error) {
        if (!(error instanceof WeftError) || error.code !== 'exhausted') throw error;
        full.push(error.message);
      }
    }
    throw new WeftError('exhausted', full.join('; '));
  }

  /** A container that had the address, or the MAC, when the Docker daemon crashed may be the very one that is started. */
  async function giveUpFormer(
    { network: id = '' }: LedgerPool,
    wished: string | undefined,
    mac: string | undefined,
  ): Promise<void> {
    const key = ledger.networks.get(id)?.key;
    if (key === undefined || (wished === undefined && mac === undefined)) return;
    const isFormer = (endpoint: LedgerEndpoint) =>
      wished === undefined ? endpoint.mac === mac : endpoint.addresses.includes(wished);
    await giveUpLost((endpoint) => isFormer(endpoint) && ledger.networks.get(endpoint.network)?.key === key);
  }

  /** As `assignFrom`; undefined when this host has none by itself. */
  async function spareFrom(
    pools: readonly LedgerPool[],
    mac: string | undefined,
  ): Promise<{ readonly address: string; readonly cidr: string } | undefined> {
    for (const { id, cidr, range } of pools) {
      const address = await assignSpare(ipam, id, { ...(range && { range }), ...(mac && { mac }) });
      if (address !== undefined) return { address, cidr };
    }
    return undefined;
  }

  /** The one that the address is of, of those of its network. */
  function poolWith(poolId: string, address: Address): string {
    const pool = ledger.pools.get(poolId);
    const isOf = ({ cidr }: LedgerPool) => contains(parsePrefix(cidr), address);
    return (pool && poolsBeside(pool).find(isOf))?.id ?? poolId;
  }

  return {
    async requestPool(request) {
      await host.ready();
      const { isGlobal = false, ...wanted } = request;
      const granted = await (isGlobal ? requestPoolForTasks : requestPool)(ipam, wanted);
      const automatic = request.pool === undefined && request.options['weft.network'] === undefined;
      const { poolId: id, cidr } = granted;
      const reserve = request.options['weft.reserve'];
      try {
        await ledger.pools.put({
          id,
          cidr,
          ...(automatic && { automatic }),
          ...(isGlobal && { global: true }),
          ...(wanted.range !== undefined && { range: wanted.range }),
          ...(reserve !== undefined && { reserve }),
        });
      } catch (error) {
        await giveBackPool(granted.poolId);
        throw error;
      }
      return granted;
    },

    releasePool: giveBackPool,

    async requestAddress({ poolId, address, purpose, mac }: RequestAddress) {
      const pool = ledger.pools.get(poolId);
      const wished = address === undefined ? undefined : printAddress(parseAddress(address));
      const cidr = parsePoolId(poolId)?.cidr ?? poolId;
      const isForContainer = purpose === 'other' && pool?.network !== undefined;
      if (!isForContainer) await host.ready();
      if (purpose === 'gateway') return printed(await reserveGateway(ipam, poolId, wished), cidr, undefined);
      if (purpose === 'task') return printed(await reserveForTask(ipam, poolId, wished), cidr, pool);
      // Docker asks for the addresses to keep free before it makes the network, and does not say what for.
      if (!isForContainer && wished !== undefined) {
        const reserved = await reserveAddress(ipam, poolId, wished);
        await noteReserved(poolId, reserved);
        return printed(reserved, cidr, undefined);
      }
      if (pool === undefined) return printed(await assignAddress(ipam, poolId, undefined, mac), cidr, pool);
      await giveUpFormer(pool, wished, mac);
      if (wished !== undefined) {
        const had = await host.eitherWay(
          () => assignAddress(ipam, poolId, wished, mac),
          () => assignSpare(ipam, poolId, { wanted: wished, ...(mac && { mac }) }),
        );
        return printed(had, cidr, pool);
      }
      const pools = poolsBeside(pool);
      const given = await host.eitherWay(
        () => assignFrom(pools, mac),
        () => spareFrom(pools, mac),
      );
      return printed(given.address, given.cidr, pool);
    },

    async releaseAddress(poolId, address) {
      await host.giveBack(
        `address ${address}`,
        () => {
          const released = parseAddress(address);
          return releaseAddress(ipam, poolWith(poolId, released), printAddress(released));
        },
        async () => {
          const released = parseAddress(address);
          const pool = parsePoolId(poolWith(poolId, released));
          if (pool !== undefined) await releaseSpare(ipam, pool.name, released);
        },
      );
    },
  };
}
