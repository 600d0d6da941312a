/** weft's nftables table in the host's namespace. */
import type { NftTable } from '../kernel/nft.ts';
import { type IsolationView, isolation } from './isolation.ts';
import { type PublicationView, waysInAndOut } from './publication.ts';
import { routedSenders } from './senders.ts';
import { tunnelAnswers } from './tunnel.ts';

export interface HostTableView extends IsolationView {
  readonly ways: PublicationView;
  /** Attached here, of networks whose packets the host routes. */
  readonly endpoints: Parameters<typeof routedSenders>[0];
}

export function hostTable(view: HostTableView): NftTable {
  const senders = routedSenders(view.endpoints);
  const apart = isolation(view);
  const ways = waysInAndOut(view.ways);
  return {
    family: 'inet',
    name: 'weft',
    sets: [...senders.sets, ...apart.sets, ...ways.sets],
    chains: [senders.chain, ...tunnelAnswers, apart.chain, ...ways.chains],
  };
}
