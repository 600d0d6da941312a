/** What this host tells the others about its endpoints. */
import { WeftError } from '../errors.ts';
import { confirmation } from '../ipam/addresses.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { keepOwn } from '../ipam/outage.ts';
import { change } from '../ipam/reading.ts';
import { type Endpoint, type Names, records } from '../model/records.ts';
import { type Plan, transactUntilSettled } from '../store/settle.ts';

export interface Announcements {
  /**
   * One transaction.
   * @param pools names of its network's
   * @throws WeftError when an address is not this host's, the network is gone, or the store away
   */
  announce(endpoint: Endpoint, pools: readonly string[]): Promise<void>;
  /**
   * While the store is away: whether the endpoint may be made before it is announced, since nobody else can have its
   * addresses; which are on disk as given then. @throws WeftError when the disk fails
   */
  vouch(endpoint: Endpoint, pools: readonly string[]): Promise<boolean>;
  /** What it is called. @throws WeftError `not-found` when the store has no such endpoint, or the store is away */
  name(network: string, endpoint: string, names: Names): Promise<void>;
  /** With its names. Succeeds when it is not there. @throws WeftError when the store is away */
  withdraw(network: string, endpoint: string): Promise<void>;
}

export function announcementsTo(ipam: Ipam): Announcements {
  const { store, keys, clock, random } = ipam;
  return {
    announce(endpoint, pools) {
      const key = keys.endpoint(endpoint.network, endpoint.id);
      const value = records.endpoint.render(endpoint);
      return change(
        ipam,
        `announce endpoint ${endpoint.id} of network ${endpoint.network}`,
        (reading): Plan<void> => {
          if (reading.get(key)?.value === value) return { done: undefined };
          if (reading.get(keys.network(endpoint.network)) === undefined) throw networkGone(endpoint.network);
          const held = endpoint.addresses.map((address) => confirmation(ipam, reading, pools, address));
          return {
            result: undefined,
            proof: { key, holds: (entry) => entry?.value === value },
            transaction: {
              conditions: [
                { key, revision: 0n },
                { key: keys.network(endpoint.network), exists: true },
                ...held.map(({ condition }) => condition),
              ],
              writes: [{ put: key, value }, ...held.flatMap(({ writes }) => writes)],
            },
          };
        },
      );
    },

    vouch: ({ addresses }, pools) => keepOwn(ipam, pools, addresses),

    name(network, endpoint, names) {
      const key = keys.names(network, endpoint);
      const value = records.names.render(names);
      const owner = keys.endpoint(network, endpoint);
      return transactUntilSettled<void>(store, {
        subject: `name endpoint ${endpoint} of network ${network}`,
        ...{ clock, random },
        attempt: async () => {
          const [endpointEntry, entry] = await Promise.all([store.get(owner), store.get(key)]);
          if (endpointEntry === undefined) {
            throw new WeftError(
              'not-found',
              `endpoint ${endpoint} of network ${network} is not in the store`,
            );
          }
          return {
            result: undefined,
            proof: { key, holds: (now) => now?.value === value },
            transaction: {
              conditions: [
                { key: owner, exists: true },
                { key, revision: entry?.revision ?? 0n },
              ],
              writes: [{ put: key, value }],
            },
          };
        },
      });
    },

    withdraw(network, endpoint) {
      const key = keys.endpoint(network, endpoint);
      return transactUntilSettled(store, {
        subject: `withdraw endpoint ${endpoint} of network ${network}`,
        ...{ clock, random },
        attempt: async () => {
          const entry = await store.get(key);
          if (entry === undefined) return { done: undefined };
          return {
            result: undefined,
            proof: { key, holds: (now) => now === undefined },
            transaction: {
              conditions: [{ key, revision: entry.revision }],
              writes: [{ delete: key }, { delete: keys.names(network, endpoint) }],
            },
          };
        },
      });
    },
  };
}

function networkGone(key: string): WeftError {
  return new WeftError(
    'not-found',
    `network ${key} is not in the store any more: remove it with docker network rm and create it again`,
  );
}
