/** weft's nftables table in the host's namespace. */
import type { NftTable } from '../kernel/nft.ts';
import { type IsolationView, isolation } from './isolation.ts';
import { type Outer, outerPackets } from './outer-packets.ts';
import { type PublicationView, waysInAndOut } from './publication.ts';
import { routedSenders } from './senders.ts';
import { tunnelAnswers } from './tunnel.ts';
import { type TunnelsView, tunnelGuard, uplinkSet } from './tunnel-guard.ts';

const table = { family: 'inet', name: 'weft' } as const;

export interface HostTableView extends IsolationView {
  readonly underlay: Outer;
  /** Links to the other hosts. */
  readonly uplinks: readonly string[];
  /** Whether some host is reached through the tunnel, and so to be answered through it. */
  readonly tunnelInUse: boolean;
  readonly ways: PublicationView;
  readonly tunnels: TunnelsView;
  /** Attached here, of networks whose packets the host routes. */
  readonly endpoints: Parameters<typeof routedSenders>[0];
}

/** Of a host that routes nothing of weft's. */
export function segmentsOnlyTable(view: Pick<HostTableView, 'underlay' | 'uplinks' | 'tunnels'>): NftTable {
  const guard = tunnelGuard(view.tunnels, view.underlay);
  return {
    ...table,
    sets: [uplinkSet(view.uplinks), ...guard.sets],
    chains: [...guard.chains, outerPackets(view.underlay)],
  };
}

export function hostTable(view: HostTableView): NftTable {
  const senders = routedSenders(view.endpoints);
  const apart = isolation(view);
  const answers = view.tunnelInUse ? tunnelAnswers : [];
  const ways = waysInAndOut(view.ways);
  const guard = tunnelGuard(view.tunnels, view.underlay);
  return {
    ...table,
    sets: [...senders.sets, uplinkSet(view.uplinks), ...guard.sets, ...apart.sets, ...ways.sets],
    chains: [
      ...[...guard.chains, outerPackets(view.underlay), senders.chain],
      ...[...answers, apart.chain, ...ways.chains],
    ],
  };
}
