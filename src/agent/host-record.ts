/** Tells the cluster where this host is, and keeps that true when its address changes. */
import type { Underlay } from '../fabric/fabric.ts';
import { records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import type { Store } from '../store/store.ts';
import type { Cluster } from './cluster.ts';

/**
 * Writes the record where it is missing or another; nobody else writes it. An answer that is lost does not
 * matter: the next call sees in the mirror what the store has.
 * @throws WeftError when the store is away
 */
export async function publishHost(
  to: { readonly store: Store; readonly keys: Keys; readonly cluster: Cluster },
  hostName: string,
  { hostId, address, mtu }: Underlay,
): Promise<void> {
  const known = to.cluster.host(hostId);
  if (known?.name === hostName && known.address === address && known.mtu === mtu) return;
  const value = records.host.render({ v: 1, id: hostId, name: hostName, address, mtu });
  await to.store.transact({ conditions: [], writes: [{ put: to.keys.host(hostId), value }] });
}
