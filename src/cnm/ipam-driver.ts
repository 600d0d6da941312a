/** Docker's IpamDriver methods (moby libnetwork/ipams/remote): read, passed on, answered in its words. */
import type { Static } from 'typebox';
import type { AddressCalls, RequestAddress, RequestPool } from '../agent/calls.ts';
import { answers, type Methods, takes } from './method.ts';
import * as schema from './schema.ts';

const globalAddressSpace = 'weft-global';

export function ipamDriver(addresses: AddressCalls, wantsMac: boolean): Methods {
  return {
    // Pools and addresses outlive a restart, so Docker need not replay its requests.
    'IpamDriver.GetCapabilities': answers({
      RequiresMACAddress: wantsMac,
      RequiresRequestReplay: false,
    }),

    // Two different names: a pool of the global space Docker would not compare with the host's own routes
    // (libnetwork/network.go, requestPoolHelper).
    'IpamDriver.GetDefaultAddressSpaces': answers({
      LocalDefaultAddressSpace: 'weft-local',
      GlobalDefaultAddressSpace: globalAddressSpace,
    }),

    'IpamDriver.RequestPool': takes(schema.RequestPool, (body) => {
      const request = readPool(body);
      const { isGlobal = false, pool } = request;
      const subject = pool === undefined ? {} : { pool };
      const ask = async () => {
        const { poolId, cidr } = await addresses.requestPool(request);
        return { PoolID: poolId, Pool: cidr };
      };
      // A swarm's managers have it together, and one that starts again has had it before.
      if (isGlobal && pool !== undefined) return { subject, run: ask };
      return {
        subject,
        make: async () => {
          const answer = await ask();
          return { answer, takeBack: () => addresses.releasePool(answer.PoolID) };
        },
      };
    }),

    'IpamDriver.ReleasePool': takes(schema.ReleasePool, ({ PoolID }) => ({
      subject: { pool: PoolID },
      run: () => addresses.releasePool(PoolID).then(() => ({})),
    })),

    'IpamDriver.RequestAddress': takes(schema.RequestAddress, (body) => {
      const request = readAddress(body);
      const { poolId, address, purpose } = request;
      // Only an address that weft chose is surely nobody else's: an explicit one this host may have held
      // before (swarm asks twice), and a gateway belongs to all hosts. Those are never taken back.
      if (address !== undefined || purpose === 'gateway') {
        return {
          subject: { pool: poolId, ...(address !== undefined && { address }) },
          run: async () => ({ Address: await addresses.requestAddress(request) }),
        };
      }
      return {
        subject: { pool: poolId },
        make: async () => {
          const chosen = await addresses.requestAddress(request);
          const [bare = chosen] = chosen.split('/');
          return { answer: { Address: chosen }, takeBack: () => addresses.releaseAddress(poolId, bare) };
        },
      };
    }),

    'IpamDriver.ReleaseAddress': takes(schema.ReleaseAddress, ({ PoolID, Address }) => ({
      subject: { pool: PoolID, address: Address },
      run: () => addresses.releaseAddress(PoolID, Address).then(() => ({})),
    })),
  };
}

function readPool(request: Static<typeof schema.RequestPool>): RequestPool {
  const { AddressSpace, Pool, SubPool, Options, V6 } = request;
  return {
    ...(AddressSpace === globalAddressSpace && { isGlobal: true }),
    ...(Pool && { pool: Pool }),
    ...(SubPool && { range: SubPool }),
    options: Options ?? {},
    family: V6 ? 6 : 4,
  };
}

function readAddress({ PoolID, Address, Options }: Static<typeof schema.RequestAddress>): RequestAddress {
  const mac = Options?.['com.docker.network.endpoint.macaddress'];
  return {
    poolId: PoolID,
    ...(Address && { address: Address }),
    purpose: purposeOf(Options ?? {}),
    ...(mac && { mac: mac.toLowerCase() }),
  };
}

function purposeOf(options: NonNullable<Static<typeof schema.RequestAddress>['Options']>) {
  if (options.RequestAddressType === 'com.docker.network.gateway') return 'gateway';
  return options['com.docker.network.ipam.serial'] === 'true' ? 'task' : 'other';
}
