/** Everything in the store as it was at one moment, by kind, for those who look for what does not agree. */
import { WeftError } from '../errors.ts';
import type { Block, Claim } from '../model/block-record.ts';
import {
  type Endpoint,
  type Host,
  type Network,
  type Participant,
  type Pool,
  type Recipe,
  records,
} from '../model/records.ts';
import type { Keys, Place } from '../store/keys.ts';
import type { Entry } from '../store/store.ts';

export interface Inventory {
  /** By id. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** By key. */
  readonly networks: ReadonlyMap<string, Network>;
  readonly participants: readonly { readonly network: string; readonly participant: Participant }[];
  /** By name. */
  readonly pools: ReadonlyMap<string, Pool>;
  readonly references: readonly { readonly pool: string; readonly id: string; readonly host: string }[];
  readonly claims: readonly Claim[];
  readonly blocks: readonly Block[];
  readonly endpoints: readonly Endpoint[];
  readonly names: readonly { readonly network: string; readonly endpoint: string }[];
  readonly recipes: readonly Recipe[];
  /** What weft can make nothing of, by its key. */
  readonly unreadable: readonly { readonly key: string; readonly reason: string }[];
}

export function inventoryOf(entries: readonly Entry[], keys: Keys): Inventory {
  const hosts = new Map<string, Host>();
  const networks = new Map<string, Network>();
  const pools = new Map<string, Pool>();
  const participants: Inventory['participants'][number][] = [];
  const references: Inventory['references'][number][] = [];
  const claims: Claim[] = [];
  const blocks: Block[] = [];
  const endpoints: Endpoint[] = [];
  const names: Inventory['names'][number][] = [];
  const recipes: Recipe[] = [];
  const unreadable: Inventory['unreadable'][number][] = [];

  /** @throws WeftError `invalid` */
  function take({ key, value }: Entry, place: Place): void {
    switch (place.kind) {
      case 'config':
        records.config.parse(value);
        return;
      // Of these the key says all, or the value is but an id.
      case 'alive':
      case 'epoch':
      case 'removal':
        return;
      case 'host': {
        const host = records.host.parse(value);
        expectAt(key, keys.host(host.id));
        hosts.set(host.id, host);
        return;
      }
      case 'network': {
        const network = records.network.parse(value);
        expectAt(key, keys.network(network.key));
        networks.set(network.key, network);
        return;
      }
      case 'participant':
        participants.push({ network: place.network, participant: records.participant.parse(value) });
        return;
      case 'pool':
        pools.set(place.pool, records.pool.parse(value));
        return;
      case 'reference': {
        const { host } = records.poolReference.parse(value);
        references.push({ pool: place.pool, id: place.reference, host });
        return;
      }
      case 'claim': {
        const claim = records.claim.parse(value);
        expectAt(key, keys.claim(claim.pool, claim.cidr));
        claims.push(claim);
        return;
      }
      case 'block': {
        const block = records.block.parse(value);
        expectAt(key, keys.block(block.pool, block.cidr));
        blocks.push(block);
        return;
      }
      case 'endpoint': {
        const endpoint = records.endpoint.parse(value);
        expectAt(key, keys.endpoint(endpoint.network, endpoint.id));
        endpoints.push(endpoint);
        return;
      }
      case 'names':
        records.names.parse(value);
        names.push({ network: place.network, endpoint: place.endpoint });
        return;
      case 'recipe':
        recipes.push(records.recipe.parse(value));
        return;
    }
  }

  for (const entry of entries) {
    const place = keys.parse(entry.key);
    if (place === undefined) {
      unreadable.push({ key: entry.key, reason: 'it is no key of this weft' });
      continue;
    }
    try {
      take(entry, place);
    } catch (error) {
      if (!(error instanceof WeftError)) throw error;
      unreadable.push({ key: entry.key, reason: error.message });
    }
  }
  return {
    ...{ hosts, networks, participants, pools, references, claims, blocks },
    ...{ endpoints, names, recipes, unreadable },
  };
}

function expectAt(key: string, place: string): void {
  if (key !== place) throw new WeftError('invalid', `it says that it belongs to ${place}`);
}
