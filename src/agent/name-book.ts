/**
 * Who is called what: the names of containers on the networks that hosts share, as the hosts tell each other. It
 * answers while the store is away, too, with what was known last.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Names } from '../model/records.ts';
import type { Place } from '../store/keys.ts';
import type { Announcements } from './announcements.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';

/** An endpoint that has a name. */
export interface Member {
  readonly names: readonly string[];
  /** The network's name in Docker. */
  readonly domain: string;
  /** Without prefix length. */
  readonly addresses: readonly string[];
}

export interface NameBook {
  /** On all hosts, in no particular order. */
  members(network: string): Member[];
  /** Calls back with each network of which `members` may answer something else. */
  onChange(listener: (network: string) => void): void;
  /** Calls back when the store has lost a name of an endpoint that this host still has. */
  onForgotten(listener: () => void): void;
  /** Calls back with a sandbox that Docker does not keep any more, and nobody else may, so that its links go. */
  onEnd(listener: (sandbox: string) => void): void;
  /** Whether it is one of this host. */
  hasEndpoint(id: string): boolean;
  /**
   * Tells all hosts of an endpoint of this one. Unknown: succeeds.
   * @throws WeftError when the store is away, or does not know the endpoint
   */
  write(endpoint: string, names: readonly string[], domain: string): Promise<void>;
  /** Docker's sandboxes on this host that are on networks of weft's, each with the networks, by key. */
  sandboxes(): ReadonlyMap<string, readonly string[]>;
}

export interface NameBookParts {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly announcements: Announcements;
}

export function nameBookOf({ cluster, ledger, announcements }: NameBookParts): NameBook & {
  /** Takes what changed in the store. */
  hear(changed: readonly Place[]): void;
  /** The sandbox has ended. */
  end(sandbox: string): void;
} {
  const listeners = new Set<(network: string) => void>();
  const forgotten = new Set<() => void>();
  const ending = new Set<(sandbox: string) => void>();
  const hasEndpoint = (id: string) => ledger.endpoints.get(id) !== undefined;

  return {
    members: (network) =>
      cluster.endpoints(network).flatMap(({ id, addresses }) => {
        const known = cluster.names(network, id);
        return known === undefined ? [] : [{ names: known.names, domain: known.domain, addresses }];
      }),

    onChange: (listener) => listeners.add(listener),

    onForgotten: (listener) => forgotten.add(listener),

    onEnd: (listener) => ending.add(listener),

    end(sandbox) {
      for (const listener of ending) listener(sandbox);
    },

    hear(changed) {
      const networks = new Set<string>();
      let isForgotten = false;
      for (const place of changed) {
        if (place.kind === 'names' || place.kind === 'endpoint') networks.add(place.network);
        if (place.kind !== 'names' || !hasEndpoint(place.endpoint)) continue;
        if (cluster.names(place.network, place.endpoint) === undefined) isForgotten = true;
      }
      if (isForgotten) for (const listener of forgotten) listener();
      for (const network of networks) for (const listener of listeners) listener(network);
    },

    hasEndpoint,

    async write(id, names, domain) {
      const key = ledger.networks.get(ledger.endpoints.get(id)?.network ?? '')?.key;
      if (key === undefined) return;
      const told: Names = { v: 1, names: [...names], domain };
      if (!isDeepStrictEqual(cluster.names(key, id), told)) await announcements.name(key, id, told);
    },

    sandboxes() {
      const joined = new Map<string, string[]>();
      for (const { sandbox, network } of ledger.endpoints.all().toSorted((a, b) => a.slot - b.slot)) {
        const key = ledger.networks.get(network)?.key;
        if (sandbox === undefined || key === undefined) continue;
        joined.set(sandbox, [...(joined.get(sandbox) ?? []), key]);
      }
      return joined;
    },
  };
}
