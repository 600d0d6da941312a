/**
 * What the cluster holds, typed: the mirror of the store read as records. A record that is damaged, or newer
 * than this weft, is left out and named once; the rest goes on.
 */
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  type Block,
  type ClusterConfig,
  type Endpoint,
  type Host,
  type Network,
  type Participant,
  type Pool,
  type PoolReference,
  type Recipe,
  records,
} from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Entry } from '../store/store.ts';

export class Cluster {
  readonly #mirror: Mirror;
  readonly #keys: Keys;
  readonly #log: Log;
  /** An entry is a fresh object with every write, so its parsed record can hang on it. */
  readonly #parsed = new WeakMap<Entry, { readonly record: unknown }>();

  constructor(mirror: Mirror, keys: Keys, log: Log) {
    this.#mirror = mirror;
    this.#keys = keys;
    this.#log = log;
  }

  hosts(): Host[] {
    return this.#all(this.#keys.hosts, records.host.parse);
  }

  host(id: string): Host | undefined {
    return this.#one(this.#keys.host(id), records.host.parse);
  }

  config(): ClusterConfig | undefined {
    return this.#one(this.#keys.config, records.config.parse);
  }

  /** Hosts that are heard of. */
  alive(): string[] {
    return Array.from(this.#mirror.entries(this.#keys.allAlive)).flatMap(({ key }) => {
      const place = this.#keys.parse(key);
      return place?.kind === 'alive' ? [place.host] : [];
    });
  }

  network(key: string): Network | undefined {
    return this.#one(this.#keys.network(key), records.network.parse);
  }

  networks(): Network[] {
    return Array.from(this.#mirror.entries(this.#keys.networks)).flatMap((entry) => {
      if (this.#keys.parse(entry.key)?.kind !== 'network') return [];
      const network = this.#read(entry, records.network.parse);
      return network === undefined ? [] : [network];
    });
  }

  participant(network: string, host: string): Participant | undefined {
    return this.#one(this.#keys.participant(network, host), records.participant.parse);
  }

  /** Every network in which this host takes part, as the store has it. */
  participations(host: string): { readonly network: string; readonly participant: Participant }[] {
    return Array.from(this.#mirror.entries(this.#keys.networks)).flatMap((entry) => {
      const place = this.#keys.parse(entry.key);
      if (place?.kind !== 'participant' || place.host !== host) return [];
      const participant = this.#read(entry, records.participant.parse);
      return participant === undefined ? [] : [{ network: place.network, participant }];
    });
  }

  pool(cidr: string): Pool | undefined {
    return this.#one(this.#keys.pool(cidr), records.pool.parse);
  }

  /** Every RequestPool of this host that is not released, as the store has it. */
  references(
    host: string,
  ): { readonly pool: string; readonly id: string; readonly reference: PoolReference }[] {
    return Array.from(this.#mirror.entries(this.#keys.pools)).flatMap((entry) => {
      const place = this.#keys.parse(entry.key);
      if (place?.kind !== 'reference') return [];
      const reference = this.#read(entry, records.poolReference.parse);
      return reference?.host === host ? [{ pool: place.pool, id: place.reference, reference }] : [];
    });
  }

  block(pool: string, cidr: string): Block | undefined {
    return this.#one(this.#keys.block(pool, cidr), records.block.parse);
  }

  blocks(pool: string): Block[] {
    return this.#all(this.#keys.blocks(pool), records.block.parse);
  }

  endpoint(network: string, id: string): Endpoint | undefined {
    return this.#one(this.#keys.endpoint(network, id), records.endpoint.parse);
  }

  /** Those announced last at the end. */
  endpoints(network: string): Endpoint[] {
    const entries = Array.from(this.#mirror.entries(this.#keys.endpoints(network)));
    const inOrder = entries.sort((a, b) => Number(a.revision - b.revision));
    return inOrder.flatMap((entry) => this.#read(entry, records.endpoint.parse) ?? []);
  }

  allEndpoints(): Endpoint[] {
    return this.#all(this.#keys.allEndpoints, records.endpoint.parse);
  }

  recipes(): Recipe[] {
    return this.#all(this.#keys.recipes, records.recipe.parse);
  }

  #one<T>(key: string, parse: (json: string) => T): T | undefined {
    const entry = this.#mirror.get(key);
    return entry === undefined ? undefined : this.#read(entry, parse);
  }

  #all<T>(prefix: string, parse: (json: string) => T): T[] {
    return Array.from(this.#mirror.entries(prefix)).flatMap((entry) => {
      const record = this.#read(entry, parse);
      return record === undefined ? [] : [record];
    });
  }

  #read<T>(entry: Entry, parse: (json: string) => T): T | undefined {
    const known = this.#parsed.get(entry);
    if (known !== undefined) return known.record as T | undefined;
    let record: T | undefined;
    try {
      record = parse(entry.value);
    } catch (error) {
      this.#log.warn({ key: entry.key, reason: explain(error) }, 'left out a record of the store');
    }
    this.#parsed.set(entry, { record });
    return record;
  }
}
