/**
 * A host that is gone for good, with its containers: nothing waits for it any more. By itself weft never concludes
 * that, because a host that is only cut off has its containers running; so it is somebody's word. Each step
 * can be taken again, and the host's own record goes last: what was interrupted is to be done again.
 */
import { WeftError } from '../errors.ts';
import { printPoolId } from '../ipam/holdings.ts';
import type { Ipam } from '../ipam/ipam.ts';
import { releasePool } from '../ipam/pools.ts';
import { change } from '../ipam/reading.ts';
import { blocksWith, disinherit } from '../ipam/reclaim.ts';
import type { Announcements } from './announcements.ts';
import type { Cluster } from './cluster.ts';
import { Membership } from './membership.ts';

export interface RemovedHost {
  readonly id: string;
  readonly name: string;
  /** How much it had of each. */
  readonly endpoints: number;
  readonly networks: number;
  readonly pools: number;
  readonly blocks: number;
}

/**
 * Takes away all that the cluster holds for a host.
 * @param wanted its id or, where only one has that, its name
 * @throws WeftError `not-found`; `conflict` when it is this host, or is heard of, or several have the name; and as
 *   `change`
 */
export async function removeHost(
  ipam: Ipam,
  { cluster, announcements }: { readonly cluster: Cluster; readonly announcements: Announcements },
  wanted: string,
): Promise<RemovedHost> {
  const { store, keys } = ipam;
  const id = idOf(ipam, cluster, wanted);
  const name = ipam.hostName(id);
  await refuseLiving(ipam, id);

  const endpoints = cluster.endpointsOf(id);
  for (const endpoint of endpoints) await announcements.withdraw(endpoint.network, endpoint.id);
  const networks = cluster.participations(id);
  const membership = new Membership(store, keys, id);
  for (const { network, participant } of networks) {
    await membership.leave(network, participant.dockerNetworks);
  }
  const blocks = blocksWith(ipam, id);
  for (const block of blocks) await disinherit(ipam, block, id);
  const references = cluster.references(id);
  for (const reference of references) await releasePool(ipam, printPoolId(reference.id, reference.pool));

  await refuseLiving(ipam, id);
  await strikeOff(ipam, id);
  return {
    ...{ id, name, endpoints: endpoints.length, networks: networks.length },
    ...{ pools: references.length, blocks: blocks.length },
  };
}

function idOf(ipam: Ipam, cluster: Cluster, wanted: string): string {
  const hosts = cluster.hosts();
  const named = hosts.filter(({ id, name }) => id === wanted || name === wanted).map(({ id }) => id);
  // One that was struck off may have come back for a moment, and left something.
  const isHolder = blocksWith(ipam, wanted).length > 0 || cluster.references(wanted).length > 0;
  const [id, other] = named.length === 0 && isHolder ? [wanted] : named;
  if (id === undefined) {
    const known = hosts.map((host) => `${host.name} (${host.id})`).join(', ');
    throw new WeftError('not-found', `there is no host ${wanted} in the cluster; there are ${known}`);
  }
  if (other !== undefined) {
    throw new WeftError(
      'conflict',
      `several hosts are called ${wanted}: name one by its id, ${named.join(' or ')}`,
    );
  }
  if (id !== ipam.hostId) return id;
  throw new WeftError(
    'conflict',
    `${wanted} is this host, which is not gone: run this on another, once weft has ended here`,
  );
}

/** @throws WeftError `conflict` */
async function refuseLiving({ store, keys, hostName }: Ipam, id: string): Promise<void> {
  if ((await store.get(keys.alive(id))) === undefined) return;
  throw new WeftError(
    'conflict',
    `host ${hostName(id)} is not gone, as its weft was heard of within the last minute: end that first, or try again in a minute if it just has`,
  );
}

async function strikeOff(ipam: Ipam, id: string): Promise<void> {
  const key = ipam.keys.host(id);
  await change(ipam, `remove host ${id}`, (reading) => {
    const entry = reading.get(key);
    if (entry === undefined) return { done: undefined };
    return {
      transaction: {
        conditions: [
          { key, revision: entry.revision },
          { key: ipam.keys.alive(id), revision: 0n },
        ],
        writes: [{ delete: key }],
      },
      result: undefined,
      proof: { key, holds: (found) => found === undefined },
    };
  });
}
