/** The store that hosts share, as address management works with it. */
import type { Keys } from '../store/keys.ts';
import { type Mirror, mirroring } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { BlockCache } from './block-cache.ts';
import type { Ipam } from './ipam.ts';
import { type OwnBlockShelf, Spares } from './spares.ts';

/**
 * Whatever this host changes has to go through the store that is returned: what is known here follows its commits, and
 * the spare addresses go before.
 * @param of.mirror whose changes are to be told to the spares (`Spares.hear`)
 * @param of.failed told when the disk does not take which addresses are spare
 */
export function sharedStore(of: {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly keys: Keys;
  readonly hostId: string;
  readonly shelf: OwnBlockShelf;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly failed: (error: unknown) => void;
}): Pick<Ipam, 'store' | 'mirror' | 'blocks' | 'keys' | 'hostId' | 'spares'> {
  const { mirror, keys, hostId, shelf, now, failed } = of;
  const blocks = new BlockCache({ mirror, keys, hostId, now });
  const spares = new Spares(shelf, { keys, hostId, blocks, store: of.store, failed });
  // The blocks first: who hears of a claim from the mirror finds its block known.
  const store = spares.guard(mirroring(blocks.knowing(of.store), () => [mirror]));
  return { store, mirror, blocks, keys, hostId, spares };
}
