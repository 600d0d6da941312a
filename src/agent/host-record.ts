/** Tells the cluster where this host is, and that it is alive. */
import { isDeepStrictEqual } from 'node:util';
import { WeftError } from '../errors.ts';
import { contains, type Prefix, printPrefix } from '../model/address.ts';
import { type Host, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import { Presence } from '../store/presence.ts';
import type { Store } from '../store/store.ts';
import type { Cluster } from './cluster.ts';
import type { Uplink } from './underlay.ts';

export interface Machine {
  /** Of its present start (`kernel/boot.ts`). */
  readonly boot: string;
  readonly uplink: Pick<Uplink, 'address' | 'mac' | 'linkLocal' | 'mtu'>;
}

/**
 * Whether the record is another machine's, which has this host's id because one is a copy of the other. A machine may get
 * another address, another card, and be started anew, but not all at once; and no two have one of these together.
 */
export function isOfCopy({ boot, mac, address }: Host, own: Machine): boolean {
  const { uplink } = own;
  return boot !== undefined && boot !== own.boot && mac !== uplink.mac && address !== uplink.address;
}

/**
 * Writes the record where it is missing or another; only a copy of this machine would write it too. An answer that is lost
 * does not matter: the next call sees in the mirror what the store has.
 * @param foreign where this host goes by routes that are not weft's, as far as others need to know
 * @throws WeftError `conflict` that names the other, if there is one; or when the store is away
 */
export async function publishHost(
  to: { readonly store: Store; readonly keys: Keys; readonly cluster: Cluster },
  { id, name }: Pick<Host, 'id' | 'name'>,
  machine: Machine,
  foreign: readonly Prefix[],
): Promise<void> {
  const { boot, uplink } = machine;
  const { address, mac, linkLocal, mtu } = uplink;
  const host: Host = {
    v: 1,
    ...{ id, name, address, boot },
    ...(mac && { mac }),
    ...(linkLocal && { linkLocal }),
    mtu,
    ...(foreign.length > 0 && { routes: outermost(foreign).map(printPrefix) }),
  };
  const known = to.cluster.host(id);
  if (isDeepStrictEqual(known, host)) return;
  const key = to.keys.host(id);
  if (known !== undefined && isOfCopy(known, machine)) {
    throw new WeftError(
      'conflict',
      `this machine has the id ${id} of host ${known.name} at ${known.address}, so one is a copy of the other: on the copy, remove the networks of weft and install it anew; if there is no such host any more, delete ${key} in the store`,
    );
  }
  const { outcome } = await to.store.transact({
    conditions: [{ key, revision: to.cluster.revisionOf(key) }],
    writes: [{ put: key, value: records.host.render(host) }],
  });
  if (outcome !== 'conflict') return;
  throw new WeftError('conflict', `the record of host ${id} was written by another machine just now`);
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
