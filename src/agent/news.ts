/** Which scopes a change in the store bears on. */
import type { Block } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import { isShared, scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';

/**
 * @returns for the keys that changed, the scopes to bring in line; `all` when the hosts themselves changed.
 * Every container start in the cluster writes to a block, but only who routes what concerns the others: a
 * block counts as changed when that did.
 */
export function newsRouter(
  keys: Keys,
  ledger: Ledger,
  cluster: Cluster,
): (changed: readonly string[]) => ReadonlySet<Scope> | 'all' {
  const routing = new Map<string, string>();

  function blockScopes(key: string, pool: string, cidr: string): Scope[] {
    const block = cluster.block(pool, cidr);
    const now = block === undefined ? '' : routingOf(block);
    if (routing.get(key) === now) return [];
    if (block === undefined) routing.delete(key);
    else routing.set(key, now);
    return ledger.networks
      .all()
      .filter((network) => isShared(network) && network.pools.includes(pool))
      .map(scopeOf);
  }

  return (changed) => {
    const scopes = new Set<Scope>();
    for (const key of changed) {
      const place = keys.parse(key);
      if (place?.kind === 'host') return 'all';
      // Its own are kept away from it by every host that has some.
      if (place?.kind === 'network' && ledger.networks.all().length > 0) scopes.add(filterScope);
      if (place?.kind === 'block') {
        for (const scope of blockScopes(key, place.pool, place.block)) scopes.add(scope);
      }
      if (place?.kind === 'endpoint') {
        // Only a segment holds entries for single endpoints.
        const network = ledger.networks
          .all()
          .find((known) => known.key === place.network && !isShared(known));
        if (network !== undefined) scopes.add(scopeOf(network));
      }
    }
    return scopes;
  };
}

/** What of a block other hosts route by: its owner, and the addresses lent to others. */
function routingOf({ owner, assigned }: Block): string {
  const lent = Object.entries(assigned).filter(([, { host }]) => host !== owner);
  return JSON.stringify([owner, lent.map(([offset, { host }]) => [offset, host])]);
}
