/** Which scopes a change in the store bears on. */
import type { Place } from '../store/keys.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import { isShared, scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';

/**
 * @returns for what changed, the scopes to bring in line; `all` when the hosts themselves changed.
 * A claim is also written anew so that its owner hears of a change in the block: to the routes only another owner, or
 * other addresses lent, are a change.
 */
export function newsRouter(
  ledger: Ledger,
  cluster: Cluster,
): (changed: readonly Place[]) => ReadonlySet<Scope> | 'all' {
  const routing = new Map<string, string>();

  function claimScopes(pool: string, cidr: string): Scope[] {
    const key = `${cidr} of ${pool}`;
    const claim = cluster.claim(pool, cidr);
    const now = claim === undefined ? '' : JSON.stringify([claim.owner, claim.lentTo]);
    if (routing.get(key) === now) return [];
    if (claim === undefined) routing.delete(key);
    else routing.set(key, now);
    return ledger.networks
      .all()
      .filter((network) => isShared(network) && network.pools.includes(pool))
      .map(scopeOf);
  }

  return (changed) => {
    const scopes = new Set<Scope>();
    const networks = ledger.networks.all();
    for (const place of changed) {
      if (place.kind === 'host') return 'all';
      // Its own are kept away from it by every host that has some.
      if (place.kind === 'network' && networks.length > 0) scopes.add(filterScope);
      if (place.kind === 'claim') {
        for (const scope of claimScopes(place.pool, place.block)) scopes.add(scope);
      }
      if (place.kind === 'endpoint') {
        // Only a segment holds entries for single endpoints.
        const network = networks.find((known) => known.key === place.network && !isShared(known));
        if (network !== undefined) scopes.add(scopeOf(network));
      }
    }
    return scopes;
  };
}
