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
import { type Ledger, type LedgerEndpoint, type LedgerNetwork, usesAddress } from './ledger.ts';
import type { Membership } from './membership.ts';

export interface SettlementParts {
  readonly hostId: string;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly membership: Membership;
  readonly announcements: Announcements;
  /** @throws WeftError when the store is away */
  readonly heldAddresses: () => Promise<readonly HeldAddress[]>;
  readonly releaseAddress: (held: HeldAddress) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Further leftovers, of whatever nobody has in the cluster. @throws WeftError when the store is away */
  readonly unneeded: () => Promise<readonly Leftover[]>;
  readonly releasePool: (poolId: string) => Promise<void>;
  /** Whether a CreateNetwork of it has begun, and not ended: the ledger may lack it yet. */
  readonly isCreating: (dockerNetwork: string) => boolean;
  /** Endpoints of the ledger that have no link, nor are about to get it. */
  readonly unlinkedEndpoints: () => readonly LedgerEndpoint[];
  readonly forgetUnlinked: (endpoint: LedgerEndpoint) => Promise<void>;
  /** Endpoints of the ledger whose link waits for Docker to take it into the container. */
  readonly untakenEndpoints: () => Promise<readonly LedgerEndpoint[]>;
  /** Which of these Docker does not have. @throws WeftError when it cannot be asked */
  readonly lostInDocker: (networks: readonly LedgerNetwork[]) => Promise<readonly LedgerNetwork[]>;
  readonly deleteNetwork: (id: string) => Promise<void>;
  readonly deleteEndpoint: (key: EndpointKey) => Promise<void>;
  readonly log: Log;
}

export type LeftoverKind = 'endpoint' | 'network' | 'address' | 'pool' | 'block';

/** What seems to be held for nobody. */
export interface Leftover {
  readonly kind: LeftoverKind;
  /** Tells it from what is held later in its place. */
  readonly name: string;
  /** For how long it must have been left over; absent: at two looks. */
  readonly leastMs?: number;
  readonly giveBack: () => Promise<void>;
}

/** A call is answered within 8 s, and Docker makes the next one at once. */
const leastCallsMs = 15_000;
/** Between asking for an address and making its endpoint Docker takes far less. Two looks may be a second apart. */
const leastAddressAgeMs = 60_000;
/** Between a Join and taking the link into the container there is what starts that container's first process. */
const leastUntakenMs = 60_000;
/** Docker has a network at most this long after weft has, and ends what it had of it at once. */
const leastLostMs = 60_000;
/** Between asking for a pool and making its network there may be other pools, and a store that is slow. */
const leastPoolAgeMs = 600_000;

/** Looks that are no further apart count as one: a person may ask for one when the clock has just done so. */
const leastApartMs = 900;

export interface LeftoverCount {
  /** At the last look. */
  readonly found: number;
  /** Given back since weft started. */
  readonly freed: number;
}

export interface Settlement {
  /** To be called again and again while the store answers. */
  readonly look: () => Promise<void>;
  /** What there is just now; some of it is only being made. @throws WeftError when the store is away */
  readonly leftovers: () => Promise<Leftover[]>;
  readonly counts: () => Readonly<Record<LeftoverKind, LeftoverCount>>;
}

export function settlement(parts: SettlementParts): Settlement {
  const { hostId, cluster, ledger, membership, announcements, log } = parts;
  /** By name: when it was first there, at all looks since. */
  let seen: ReadonlyMap<string, number> = new Map();
  let untaken: readonly LedgerEndpoint[] = [];
  let lost: readonly LedgerNetwork[] = [];
  let found: readonly Leftover[] = [];
  const freed = new Map<LeftoverKind, number>();

  async function leftovers(): Promise<Leftover[]> {
    // What is asked of the store first: with each of these, what was made meanwhile is in the ledger.
    const [held, unneeded] = await Promise.all([parts.heldAddresses(), parts.unneeded()]);
    const endpoints = cluster
      .endpointsOf(hostId)
      .filter(({ id }) => ledger.endpoints.get(id) === undefined)
      .map(
        ({ network, id }): Leftover => ({
          kind: 'endpoint',
          name: `endpoint ${id}`,
          giveBack: () => announcements.withdraw(network, id),
        }),
      );

    const participations = cluster.participations(hostId).flatMap(({ network, participant }): Leftover[] => {
      const gone = participant.dockerNetworks.filter(
        (id) => ledger.networks.get(id) === undefined && !parts.isCreating(id),
      );
      if (gone.length === 0) return [];
      const name = `network ${network} ${gone.join(' ')}`;
      return [{ kind: 'network', name, giveBack: () => membership.leave(network, gone) }];
    });

    const isOld = longAgo(parts.now(), leastAddressAgeMs);
    const addresses = held
      .filter(({ pool, address, sinceMs }) => isOld(sinceMs) && !usesAddress(ledger, pool, address))
      .map(
        (held): Leftover => ({
          kind: 'address',
          name: `address ${held.address} of ${held.pool}, operation ${held.operation}`,
          giveBack: () => parts.releaseAddress(held),
        }),
      );

    const pools = cluster
      .references(hostId)
      .map(({ pool, id, reference }) => ({ id: `${id}@${pool}`, sinceMs: reference.sinceMs }))
      .filter(({ id, sinceMs }) => !isPoolWanted(id, sinceMs))
      .map(
        ({ id }): Leftover => ({
          kind: 'pool',
          name: `pool ${id}`,
          giveBack: () => parts.releasePool(id),
        }),
      );

    // A link goes with its container's namespace, and only a Join makes it.
    const lostEndpoints = parts.unlinkedEndpoints().map(
      (endpoint): Leftover => ({
        kind: 'endpoint',
        name: `endpoint ${endpoint.id} without a link, sandbox ${endpoint.sandbox}`,
        giveBack: () => parts.forgetUnlinked(endpoint),
      }),
    );

    // A daemon that dies there leaves it for good: with no container that would end, it would never go by itself.
    const untakenEndpoints = untaken.map(
      (endpoint): Leftover => ({
        kind: 'endpoint',
        name: `endpoint ${endpoint.id} whose link no container has, sandbox ${endpoint.sandbox}`,
        leastMs: leastUntakenMs,
        giveBack: async () => {
          const isLeft = (await parts.untakenEndpoints()).includes(endpoint);
          if (isLeft) await parts.deleteEndpoint({ network: endpoint.network, endpoint: endpoint.id });
        },
      }),
    );

    // Docker joins an endpoint as soon as it is made, and deletes it as soon as it has left.
    const leftEndpoints = ledger.endpoints
      .all()
      .filter(({ sandbox }) => sandbox === undefined)
      .map(
        (endpoint): Leftover => ({
          kind: 'endpoint',
          name: `endpoint ${endpoint.id} that no container has`,
          leastMs: leastCallsMs,
          giveBack: async () => {
            // One that has been joined since is another object.
            if (ledger.endpoints.get(endpoint.id) !== endpoint) return;
            await parts.deleteEndpoint({ network: endpoint.network, endpoint: endpoint.id });
          },
        }),
      );

    // Docker releases the pools of a network when it removes it, or was refused it.
    const withPools = new Set(ledger.pools.all().map(({ network }) => network));
    const networksWithoutPool = ledger.networks
      .all()
      .filter(({ id }) => !withPools.has(id))
      .map(
        ({ id }): Leftover => ({
          kind: 'network',
          name: `network ${id} without a pool`,
          giveBack: () => parts.deleteNetwork(id),
        }),
      );

    const inhabited = new Set(ledger.endpoints.all().map(({ network }) => network));
    const lostNetworks = lost
      .filter(({ id }) => !inhabited.has(id))
      .map(
        ({ id, key }): Leftover => ({
          kind: 'network',
          name: `network ${key} by the id ${id}, which Docker does not have`,
          leastMs: leastLostMs,
          giveBack: () => parts.deleteNetwork(id),
        }),
      );

    return [
      ...[...endpoints, ...addresses, ...participations, ...pools],
      ...[...leftEndpoints, ...lostEndpoints, ...untakenEndpoints],
      ...[...networksWithoutPool, ...lostNetworks],
      ...unneeded,
    ];
  }

  async function lookInDocker(): Promise<readonly LedgerNetwork[]> {
    const networks = ledger.networks.all();
    if (networks.length < 2) return [];
    const unknown = await parts.lostInDocker(networks).catch(() => []);
    // A daemon that has none of them may be another one of this machine.
    return unknown.length < networks.length ? unknown : [];
  }

  function isPoolWanted(id: string, sinceMs: number): boolean {
    const isOld = (leastMs: number) => longAgo(parts.now(), leastMs)(sinceMs);
    const pool = ledger.pools.get(id);
    if (pool === undefined) return !isOld(leastCallsMs);
    return pool.network === undefined
      ? pool.global === true || !isOld(leastPoolAgeMs)
      : ledger.networks.get(pool.network) !== undefined;
  }

  async function look(): Promise<void> {
    const nowMs = parts.now();
    untaken = await parts.untakenEndpoints();
    lost = await lookInDocker();
    found = await leftovers();
    for (const { kind, name, leastMs = leastApartMs, giveBack } of found) {
      const sinceMs = seen.get(name);
      if (sinceMs === undefined || !longAgo(nowMs, leastMs)(sinceMs)) continue;
      try {
        await giveBack();
        freed.set(kind, (freed.get(kind) ?? 0) + 1);
        log.info({ leftover: name }, 'gave back what is held for nobody');
      } catch (error) {
        log.warn({ leftover: name, reason: explain(error) }, 'cannot give back a leftover yet');
      }
    }
    seen = new Map(found.map(({ name }) => [name, seen.get(name) ?? nowMs]));
  }

  function countOf(kind: LeftoverKind): LeftoverCount {
    const ofKind = found.filter((leftover) => leftover.kind === kind);
    return { found: ofKind.length, freed: freed.get(kind) ?? 0 };
  }

  return {
    look,
    leftovers,
    counts: () => ({
      endpoint: countOf('endpoint'),
      network: countOf('network'),
      address: countOf('address'),
      pool: countOf('pool'),
      block: countOf('block'),
    }),
  };
}
