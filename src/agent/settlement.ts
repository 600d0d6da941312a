/**
 * Makes the store agree with the ledger, and the ledger with what Docker can still have: what is held in this
 * host's name for nobody is given back. That is how a removal is finished whose RPC found the store away, was
 * cut off by a crash, or never came: Docker forgets some endpoints in a power cut or a crash of its daemon,
 * and any network, endpoint or pool in whose creation or removal weft itself was killed. Two looks: something
 * that is just being made shows at first like that, so only what was left over at the last look too is taken away.
 */
import { explain } from '../errors.ts';
import type { HeldAddress } from '../ipam/addresses.ts';
import { longAgo } from '../ipam/block.ts';
import type { Log } from '../log.ts';
import type { Announcements } from './announcements.ts';
import type { EndpointKey } from './calls.ts';
import type { Cluster } from './cluster.ts';
import { type Ledger, type LedgerEndpoint, usesAddress } from './ledger.ts';
import type { Membership } from './membership.ts';

export interface SettlementParts {
  readonly hostId: string;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly membership: Membership;
  readonly announcements: Announcements;
  readonly heldAddresses: () => readonly HeldAddress[];
  readonly releaseAddress: (held: HeldAddress) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Further leftovers, of whatever nobody has in the cluster. */
  readonly unneeded: () => readonly Leftover[];
  readonly releasePool: (poolId: string) => Promise<void>;
  /** Endpoints of the ledger that have no link. */
  readonly unlinkedEndpoints: () => readonly LedgerEndpoint[];
  readonly forgetUnlinked: (endpoint: LedgerEndpoint) => Promise<void>;
  readonly deleteNetwork: (id: string) => Promise<void>;
  readonly deleteEndpoint: (key: EndpointKey) => Promise<void>;
  readonly log: Log;
}

/** What seems to be held for nobody. */
export interface Leftover {
  /** Tells it from what is held later in its place. */
  readonly name: string;
  readonly giveBack: () => Promise<void>;
}

/** Between asking for an address and making its endpoint Docker takes far less. Two looks may be a second apart. */
const leastAddressAgeMs = 60_000;
/** Between asking for a pool and making its network there may be other pools, and a store that is slow. */
const leastPoolAgeMs = 600_000;

/** @returns one look; to be called again and again while the store answers */
export function settlement(parts: SettlementParts): () => Promise<void> {
  const { hostId, cluster, ledger, membership, announcements, log } = parts;
  let seen: ReadonlySet<string> = new Set();

  function leftovers(): Leftover[] {
    const endpoints = cluster
      .allEndpoints()
      .filter(({ host, id }) => host === hostId && ledger.endpoints.get(id) === undefined)
      .map(({ network, id }) => ({
        name: `endpoint ${id}`,
        giveBack: () => announcements.withdraw(network, id),
      }));

    const participations = cluster.participations(hostId).flatMap(({ network, participant }) => {
      const gone = participant.dockerNetworks.filter((id) => ledger.networks.get(id) === undefined);
      if (gone.length === 0) return [];
      return [
        { name: `network ${network} ${gone.join(' ')}`, giveBack: () => membership.leave(network, gone) },
      ];
    });

    const isOld = longAgo(parts.now(), leastAddressAgeMs);
    const addresses = parts
      .heldAddresses()
      .filter(({ pool, address, sinceMs }) => isOld(sinceMs) && !usesAddress(ledger, pool, address))
      .map((held) => ({
        name: `address ${held.address} of ${held.pool}, operation ${held.operation}`,
        giveBack: () => parts.releaseAddress(held),
      }));

    const isOldPool = longAgo(parts.now(), leastPoolAgeMs);
    const pools = cluster
      .references(hostId)
      .map(({ pool, id, reference }) => ({ id: `${id}@${pool}`, isOld: isOldPool(reference.sinceMs) }))
      .filter(({ id, isOld }) => !isPoolWanted(id, isOld))
      .map(({ id }) => ({ name: `pool ${id}`, giveBack: () => parts.releasePool(id) }));

    // A link goes with its container's namespace, and only a Join makes it.
    const lostEndpoints = parts.unlinkedEndpoints().map((endpoint) => ({
      name: `endpoint ${endpoint.id} without a link, sandbox ${endpoint.sandbox}`,
      giveBack: () => parts.forgetUnlinked(endpoint),
    }));

    // Docker joins an endpoint as soon as it is made, and deletes it as soon as it has left.
    const leftEndpoints = ledger.endpoints
      .all()
      .filter(({ sandbox }) => sandbox === undefined)
      .map((endpoint) => ({
        name: `endpoint ${endpoint.id} that no container has`,
        giveBack: async () => {
          // One that has been joined since is another object.
          if (ledger.endpoints.get(endpoint.id) !== endpoint) return;
          await parts.deleteEndpoint({ network: endpoint.network, endpoint: endpoint.id });
        },
      }));

    // Docker releases the pools of a network when it removes it, or was refused it.
    const withPools = new Set(ledger.pools.all().map(({ network }) => network));
    const lostNetworks = ledger.networks
      .all()
      .filter(({ id }) => !withPools.has(id))
      .map(({ id }) => ({ name: `network ${id} without a pool`, giveBack: () => parts.deleteNetwork(id) }));

    return [
      ...[...endpoints, ...addresses, ...participations, ...pools],
      ...[...leftEndpoints, ...lostEndpoints, ...lostNetworks],
      ...parts.unneeded(),
    ];
  }

  function isPoolWanted(id: string, isOld: boolean): boolean {
    const pool = ledger.pools.get(id);
    if (pool === undefined) return false;
    return pool.network === undefined
      ? pool.global === true || !isOld
      : ledger.networks.get(pool.network) !== undefined;
  }

  return async () => {
    const found = leftovers();
    for (const { name, giveBack } of found.filter(({ name }) => seen.has(name))) {
      try {
        await giveBack();
        log.info({ leftover: name }, 'gave back what is held for nobody');
      } catch (error) {
        log.warn({ leftover: name, reason: explain(error) }, 'cannot give back a leftover yet');
      }
    }
    seen = new Set(found.map(({ name }) => name));
  };
}
