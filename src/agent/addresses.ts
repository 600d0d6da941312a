/** Pools and addresses, as Docker asks for them on this host. */
import { fabrics } from '../fabric/registry.ts';
import { assignAddress, releaseAddress } from '../ipam/addresses.ts';
import { parsePoolId } from '../ipam/holdings.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { releasePool, requestPool } from '../ipam/pools.ts';
import { reserveAddress, reserveGateway } from '../ipam/reservations.ts';
import { parseAddress, parsePrefix, printAddress } from '../model/address.ts';
import type { AddressCalls, RequestAddress } from './calls.ts';
import type { LedgerPool } from './ledger.ts';
import type { ThisHost } from './this-host.ts';

export function addressUseCases(host: ThisHost, ipam: Ipam): AddressCalls {
  const { ledger } = host;

  /** Prefix length of the answer: what the container's interface gets. Before there is a network: the subnet's. */
  function printed(address: string, cidr: string, pool: LedgerPool | undefined): string {
    const network = pool?.network === undefined ? undefined : ledger.networks.get(pool.network);
    const fabric = network && fabrics.get(network.fabric);
    const { family, length } = parsePrefix(cidr);
    return `${address}/${fabric?.addressLength(family, length) ?? length}`;
  }

  return {
    async requestPool(request) {
      await host.ready();
      const granted = await requestPool(ipam, request);
      const automatic = request.pool === undefined && request.options['weft.network'] === undefined;
      await ledger.pools.put({ id: granted.poolId, cidr: granted.cidr, ...(automatic && { automatic }) });
      return granted;
    },

    async releasePool(poolId) {
      await ledger.pools.delete(poolId);
      await host.giveBack(`pool ${poolId}`, () => releasePool(ipam, poolId));
    },

    async requestAddress({ poolId, address, purpose }: RequestAddress) {
      await host.ready();
      const pool = ledger.pools.get(poolId);
      const wished = address === undefined ? undefined : printAddress(parseAddress(address));
      const cidr = parsePoolId(poolId)?.cidr ?? poolId;
      if (purpose === 'gateway') return printed(await reserveGateway(ipam, poolId, wished), cidr, undefined);
      // Docker asks for the addresses to keep free before it makes the network, and does not say what for.
      if (pool?.network === undefined && wished !== undefined) {
        return printed(await reserveAddress(ipam, poolId, wished), cidr, undefined);
      }
      return printed(await assignAddress(ipam, poolId, wished), cidr, pool);
    },

    async releaseAddress(poolId, address) {
      await host.giveBack(`address ${address}`, () =>
        releaseAddress(ipam, poolId, printAddress(parseAddress(address))),
      );
    },
  };
}
