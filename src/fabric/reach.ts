/**
 * How packets of a routed network get to another host: as they are, encapsulated, or not at all. As they are
 * is several times as fast where the network card does not help with encapsulation; but it needs the host to
 * be on the same link, and a network between that lets pass addresses it has never heard of, which many clouds
 * and some switches do not.
 */
import { parsePrefix, prefixSize, printAddress } from '../model/address.ts';
import type { Encap, Network } from '../model/records.ts';
import type { Peer } from './fabric.ts';

export type Reach =
  | { readonly by: 'direct'; readonly link: string }
  | { readonly by: 'encapsulation' }
  | { readonly by: 'nothing' };

/** Encapsulation needs no more than that the hosts reach each other, so it serves while nothing is known. */
export function reachOf({ path, direct }: Peer, encap: Encap = 'auto'): Reach {
  if (path === undefined) return { by: 'nothing' };
  const onLink = path.via === undefined;
  switch (encap) {
    case 'always':
      return { by: 'encapsulation' };
    case 'never':
      return onLink ? { by: 'direct', link: path.link } : { by: 'nothing' };
    case 'auto':
      return onLink && direct.passes ? { by: 'direct', link: path.link } : { by: 'encapsulation' };
  }
}

/** Whether some host is known to be reached by encapsulation, and not only until more is known. */
export function isTunnelInUse(networks: readonly Network[], peers: readonly Peer[]): boolean {
  return networks.some(({ encap }) =>
    peers.some(
      (peer) => reachOf(peer, encap).by === 'encapsulation' && (encap === 'always' || !peer.direct.assumed),
    ),
  );
}

/**
 * With which to find out whether addresses of a subnet pass: its first, as no container ever has it. That all
 * hosts share it does not matter, for nothing is sent there; undefined where it is a container's.
 */
export function probeSource(pool: string): string | undefined {
  const prefix = parsePrefix(pool);
  if (prefixSize(prefix) <= 2n) return undefined;
  return printAddress({ family: prefix.family, value: prefix.first });
}
