/**
 * What nobody in the cluster needs any more: this host's empty blocks, its spare addresses where a pool runs out, and
 * what hosts that are gone have left behind. A host counts as gone when it was not heard of for a grace time in which this one watched; the same
 * for every host that looks, so one of them sees to it: the first by id of those that are heard of.
 */
import type { Ipam } from '../ipam/ipam.ts';
import {
  abandonedBlocks,
  crampedBlocks,
  emptyBlocks,
  giveBackBlock,
  giveUpSpares,
  hostsWithHoldings,
  reclaimAddresses,
} from '../ipam/reclaim.ts';
import type { Cluster } from './cluster.ts';
import type { Leftover } from './settlement.ts';

/** Longer than a large machine takes to boot. */
const goneAfterMs = 10 * 60_000;

/** @returns one look; to be called again and again while the store answers. @throws WeftError when it does not */
export function unneededIn(ipam: Ipam, cluster: Cluster): () => Promise<Leftover[]> {
  const { hostId, hostName, clock } = ipam;
  /** Hosts that are not heard of, and since when by this host's clock. */
  let missing: ReadonlyMap<string, number> = new Map();
  let lookedMs = clock.now();

  /** Hosts that have something and are gone. */
  function goneHosts(): string[] {
    const nowMs = clock.now();
    // While the store was away nobody could be heard of.
    if (nowMs - lookedMs >= goneAfterMs) missing = new Map();
    lookedMs = nowMs;
    const alive = new Set(cluster.alive());
    const silent = hostsWithHoldings(ipam).filter((id) => !alive.has(id) && id !== hostId);
    missing = new Map(silent.map((id) => [id, missing.get(id) ?? nowMs]));
    const [first] = [...alive].sort();
    if (first !== hostId) return [];
    return [...missing].filter(([, sinceMs]) => nowMs - sinceMs >= goneAfterMs).map(([id]) => id);
  }

  return async () => {
    const gone = goneHosts();
    const isOwner = (owner: string) => owner === hostId || gone.includes(owner);
    const empty = (await emptyBlocks(ipam, isOwner)).map(
      (block): Leftover => ({
        kind: 'block',
        name: `empty block ${block.cidr} of ${block.pool}, owner ${hostName(block.owner)}, sequence ${block.sequence}`,
        giveBack: () => giveBackBlock(ipam, block),
      }),
    );
    const abandoned = await Promise.all(
      gone.map(async (host) =>
        (await abandonedBlocks(ipam, host)).map(
          (block): Leftover => ({
            kind: 'address',
            name: `addresses of host ${hostName(host)} in block ${block.cidr} of ${block.pool}, sequence ${block.sequence}`,
            giveBack: () => reclaimAddresses(ipam, block, host),
          }),
        ),
      ),
    );
    const spare = (await crampedBlocks(ipam)).map(
      (block): Leftover => ({
        kind: 'block',
        name: `spare addresses of block ${block.cidr} of ${block.pool}, sequence ${block.sequence}`,
        giveBack: () => giveUpSpares(ipam, block),
      }),
    );
    return [...empty, ...spare, ...abandoned.flat()];
  };
}
