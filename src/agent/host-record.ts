/** Tells the cluster where this host is, and that it is alive. */
import { isDeepStrictEqual } from 'node:util';
import type { Underlay } from '../fabric/fabric.ts';
import { contains, type Prefix, printPrefix } from '../model/address.ts';
import { type Host, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import { Presence } from '../store/presence.ts';
import type { Store } from '../store/store.ts';
import type { Cluster } from './cluster.ts';

/**
 * Writes the record where it is missing or another; nobody else writes it. An answer that is lost does not
 * matter: the next call sees in the mirror what the store has.
 * @param foreign where this host goes by routes that are not weft's, as far as others need to know
 * @throws WeftError when the store is away
 */
export async function publishHost(
  to: { readonly store: Store; readonly keys: Keys; readonly cluster: Cluster },
  hostName: string,
  { hostId, address, linkLocal, mtu }: Underlay,
  foreign: readonly Prefix[],
): Promise<void> {
  const host: Host = {
    v: 1,
    ...{ id: hostId, name: hostName, address },
    ...(linkLocal && { linkLocal }),
    mtu,
    ...(foreign.length > 0 && { routes: outermost(foreign).map(printPrefix) }),
  };
  if (isDeepStrictEqual(to.cluster.host(hostId), host)) return;
  const value = records.host.render(host);
  await to.store.transact({ conditions: [], writes: [{ put: to.keys.host(hostId), value }] });
}

/** In order, and without those that lie in another. */
function outermost(prefixes: readonly Prefix[]): Prefix[] {
  const inOrder = prefixes.toSorted((a, b) =>
    a.first < b.first ? -1 : Number(a.first > b.first) || a.length - b.length,
  );
  const outer: Prefix[] = [];
  for (const prefix of inOrder) {
    if (!outer.some((other) => contains(other, prefix))) outer.push(prefix);
  }
  return outer;
}

/** How long a host that is not heard of still counts as alive; that alone takes nothing of its away. */
const aliveTtlSeconds = 45;

/** Keeps `alive/<host>` up until the signal aborts; then it runs out by itself. */
export async function keepAlive(
  to: { readonly store: Store; readonly keys: Keys },
  hostId: string,
  onFailure: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const presence = new Presence(to.store, {
    ttlSeconds: aliveTtlSeconds,
    announce: async (lease) => {
      const outcome = await to.store.transact({
        conditions: [],
        writes: [{ put: to.keys.alive(hostId), value: hostId, lease }],
      });
      if (outcome.outcome === 'unknown') throw outcome.cause;
    },
    onFailure,
  });
  await presence.run(signal);
}
