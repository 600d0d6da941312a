/**
 * What the cluster holds, typed: the mirror of the store read as records. A record that is damaged, or newer
 * than this weft, is left out and named once; the rest goes on.
 */
import { explain, WeftError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Claim } from '../model/block-record.ts';
import { parsePoolName } from '../model/pool-name.ts';
import {
  type ClusterConfig,
  type Endpoint,
  type Host,
  type Names,
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

/** Reads the entry of a record. @throws WeftError `invalid` */
type Kind<T> = (entry: Entry) => T;

/** @param keyOf where such a record belongs: at another key it would speak for somebody else */
function kind<T>(parse: (json: string) => T, keyOf?: (record: T, key: string) => string): Kind<T> {
  return ({ key, value }) => {
    const record = parse(value);
    const place = keyOf?.(record, key) ?? key;
    if (place !== key) throw new WeftError('invalid', `it says that it belongs to ${place}`);
    return record;
  };
}

export class Cluster {
  readonly #mirror: Mirror;
  readonly #keys: Keys;
  readonly #log: Log;
  /** An entry is a fresh object with every write, so its parsed record can hang on it. */
  readonly #parsed = new WeakMap<Entry, { readonly record: unknown }>();

  readonly #kinds;

  constructor(mirror: Mirror, keys: Keys, log: Log) {
    this.#mirror = mirror;
    this.#keys = keys;
    this.#log = log;
    this.#kinds = {
      config: kind(records.config.parse),
      host: kind(records.host.parse, ({ id }) => keys.host(id)),
      network: kind(records.network.parse, ({ key }) => keys.network(key)),
      participant: kind(records.participant.parse),
      pool: kind(records.pool.parse, ({ cidr }, key) => {
        const place = keys.parse(key);
        const isOwn = place?.kind === 'pool' && parsePoolName(place.pool).cidr === cidr;
        return isOwn ? key : keys.pool(cidr);
      }),
      poolReference: kind(records.poolReference.parse),
      claim: kind(records.claim.parse, ({ pool, cidr }) => keys.claim(pool, cidr)),
      endpoint: kind(records.endpoint.parse, ({ network, id }) => keys.endpoint(network, id)),
      recipe: kind(records.recipe.parse, ({ name }) => keys.recipe(name)),
      names: kind(records.names.parse),
    };
  }

  hosts(): Host[] {
    return this.#all(this.#keys.hosts, this.#kinds.host);
  }

  host(id: string): Host | undefined {
    return this.#one(this.#keys.host(id), this.#kinds.host);
  }

  /** Of the last write of a key, as far as it is known here; 0: there is none. */
  revisionOf(key: string): bigint {
    return this.#mirror.get(key)?.revision ?? 0n;
  }

  config(): ClusterConfig | undefined {
    return this.#one(this.#keys.config, this.#kinds.config);
  }

  /** As it is written there: it may be one that is over (`epoch.ts`). */
  epoch(): string | undefined {
    return this.#mirror.get(this.#keys.epoch)?.value;
  }

  /** Hosts that are heard of. */
  alive(): string[] {
    return Array.from(this.#mirror.entries(this.#keys.allAlive)).flatMap(({ key }) => {
      const place = this.#keys.parse(key);
      return place?.kind === 'alive' ? [place.host] : [];
    });
  }

  network(key: string): Network | undefined {
    return this.#one(this.#keys.network(key), this.#kinds.network);
  }

  /** Whether there is such a record, be it one that cannot be read. */
  hasNetwork(key: string): boolean {
    return this.#mirror.get(this.#keys.network(key)) !== undefined;
  }

  networks(): Network[] {
    return Array.from(this.#mirror.entries(this.#keys.networks)).flatMap((entry) => {
      if (this.#keys.parse(entry.key)?.kind !== 'network') return [];
      const network = this.#read(entry, this.#kinds.network);
      return network === undefined ? [] : [network];
    });
  }

  participant(network: string, host: string): Participant | undefined {
    return this.#one(this.#keys.participant(network, host), this.#kinds.participant);
  }

  /** Every network in which this host takes part, as the store has it. */
  participations(host: string): { readonly network: string; readonly participant: Participant }[] {
    return Array.from(this.#mirror.entries(this.#keys.networks)).flatMap((entry) => {
      const place = this.#keys.parse(entry.key);
      if (place?.kind !== 'participant' || place.host !== host) return [];
      const participant = this.#read(entry, this.#kinds.participant);
      return participant === undefined ? [] : [{ network: place.network, participant }];
    });
  }

  pool(cidr: string): Pool | undefined {
    return this.#one(this.#keys.pool(cidr), this.#kinds.pool);
  }

  /** Every RequestPool of this host that is not released, as the store has it. */
  references(
    host: string,
  ): { readonly pool: string; readonly id: string; readonly reference: PoolReference }[] {
    return Array.from(this.#mirror.entries(this.#keys.pools)).flatMap((entry) => {
      const place = this.#keys.parse(entry.key);
      if (place?.kind !== 'reference') return [];
      const reference = this.#read(entry, this.#kinds.poolReference);
      return reference?.host === host ? [{ pool: place.pool, id: place.reference, reference }] : [];
    });
  }

  claim(pool: string, cidr: string): Claim | undefined {
    return this.#one(this.#keys.claim(pool, cidr), this.#kinds.claim);
  }

  /** Of all blocks of the pool. */
  claims(pool: string): Claim[] {
    return this.#all(this.#keys.claims(pool), this.#kinds.claim);
  }

  endpoint(network: string, id: string): Endpoint | undefined {
    return this.#one(this.#keys.endpoint(network, id), this.#kinds.endpoint);
  }

  /** Those announced last at the end. */
  endpoints(network: string): Endpoint[] {
    const entries = Array.from(this.#mirror.entries(this.#keys.endpoints(network)));
    const inOrder = entries.sort((a, b) => Number(a.revision - b.revision));
    return inOrder.flatMap((entry) => this.#read(entry, this.#kinds.endpoint) ?? []);
  }

  /** Of one host. Nearly all of a large cluster are others'; those are not read, only looked through for its id. */
  endpointsOf(host: string): Endpoint[] {
    return Array.from(this.#mirror.entries(this.#keys.allEndpoints)).flatMap((entry) => {
      if (!entry.value.includes(host)) return [];
      const endpoint = this.#read(entry, this.#kinds.endpoint);
      return endpoint?.host === host ? [endpoint] : [];
    });
  }

  names(network: string, endpoint: string): Names | undefined {
    return this.#one(this.#keys.names(network, endpoint), this.#kinds.names);
  }

  recipes(): Recipe[] {
    return this.#all(this.#keys.recipes, this.#kinds.recipe);
  }

  /** Whether it is on record that the network of the recipe of this id was removed. */
  hasRemoval(recipe: string): boolean {
    return this.#mirror.get(this.#keys.removal(recipe)) !== undefined;
  }

  /** As `hasNetwork`. */
  hasRecipe(name: string): boolean {
    return this.#mirror.get(this.#keys.recipe(name)) !== undefined;
  }

  #one<T>(key: string, kind: Kind<T>): T | undefined {
    const entry = this.#mirror.get(key);
    return entry === undefined ? undefined : this.#read(entry, kind);
  }

  #all<T>(prefix: string, kind: Kind<T>): T[] {
    return Array.from(this.#mirror.entries(prefix)).flatMap((entry) => {
      const record = this.#read(entry, kind);
      return record === undefined ? [] : [record];
    });
  }

  #read<T>(entry: Entry, kind: Kind<T>): T | undefined {
    const known = this.#parsed.get(entry);
    if (known !== undefined) return known.record as T | undefined;
    let record: T | undefined;
    try {
      record = kind(entry);
    } catch (error) {
      this.#log.warn({ key: entry.key, reason: explain(error) }, 'left out a record of the store');
    }
    this.#parsed.set(entry, { record });
    return record;
  }
}
