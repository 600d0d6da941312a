/** What this host tells the others about its endpoints. */
import { type Endpoint, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import { transactUntilSettled } from '../store/settle.ts';
import type { Store } from '../store/store.ts';

export interface Announcements {
  /** One transaction. @throws WeftError when the network is gone, or the store away */
  announce(endpoint: Endpoint): Promise<void>;
  /** Succeeds when it is not there. @throws WeftError when the store is away */
  withdraw(network: string, endpoint: string): Promise<void>;
}

export function announcementsTo(store: Store, keys: Keys): Announcements {
  return {
    announce(endpoint) {
      const key = keys.endpoint(endpoint.network, endpoint.id);
      const value = records.endpoint.render(endpoint);
      return transactUntilSettled(store, {
        subject: `announce endpoint ${endpoint.id} of network ${endpoint.network}`,
        attempt: async () => ({
          result: undefined,
          proof: { key, holds: (entry) => entry?.value === value },
          transaction: {
            conditions: [
              { key, revision: 0n },
              { key: keys.network(endpoint.network), exists: true },
            ],
            writes: [{ put: key, value }],
          },
        }),
      });
    },

    withdraw(network, endpoint) {
      const key = keys.endpoint(network, endpoint);
      return transactUntilSettled(store, {
        subject: `withdraw endpoint ${endpoint} of network ${network}`,
        attempt: async () => {
          const entry = await store.get(key);
          if (entry === undefined) return { done: undefined };
          return {
            result: undefined,
            proof: { key, holds: (now) => now === undefined },
            transaction: { conditions: [{ key, revision: entry.revision }], writes: [{ delete: key }] },
          };
        },
      });
    },
  };
}
