/** Which scopes a change in the store bears on. */
import type { Block } from '../model/block-record.ts';
import type { Place } from '../store/keys.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import { isShared, scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';

/**
 * @returns for what changed, the scopes to bring in line; `all` when the hosts themselves changed.
 * Every container start in the cluster writes to a block, but only who routes what concerns the others: a
 * block counts as changed when that did.
 */
export function newsRouter(
  ledger: Ledger,
  cluster: Cluster,
): (changed: readonly Place[]) => ReadonlySet<Scope> | 'all' {
  const routing = new Map<string, string>();

  function blockScopes(pool: string, cidr: string): Scope[] {
    const key = `${cidr} of ${pool}`;
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
    const networks = ledger.networks.all();
    for (const place of changed) {
      if (place.kind === 'host') return 'all';
      // Its own are kept away from it by every host that has some.
      if (place.kind === 'network' && networks.length > 0) scopes.add(filterScope);
      if (place.kind === 'block') {
        for (const scope of blockScopes(place.pool, place.block)) scopes.add(scope);
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

/** What of a block other hosts route by: its owner, and the addresses lent to others. */
function routingOf({ owner, assigned }: Block): string {
  const lent = Object.entries(assigned).filter(([, { host }]) => host !== owner);
  return JSON.stringify([owner, lent.map(([offset, { host }]) => [offset, host])]);
}
