/**
 * Which packets may take the shortcut through a host: those from one container of a network to another, with the addresses
 * that these have. The kernel's programs take all else the ordinary way.
 */
import type { NamespaceState } from '../kernel/state.ts';
import { singlePrefix } from '../model/address.ts';
import { hostEnd, shortcutNetwork } from '../model/names.ts';
import type { LocalEndpoint, NetworkView, Underlay } from './fabric.ts';

/** The endpoint's part. @param mtu of its link */
export function shortcutPort(
  { network, shortcut }: Pick<NetworkView, 'network' | 'shortcut'>,
  { id, mac, addresses }: LocalEndpoint,
  mtu: number,
): Pick<NamespaceState, 'shortcuts' | 'ports'> {
  if (!shortcut) return { shortcuts: [], ports: [] };
  const [link, number] = [hostEnd(id), shortcutNetwork(network.key)];
  return {
    shortcuts: [{ link, side: 'out' }],
    ports: addresses.map((address) => ({
      destination: singlePrefix(address),
      link,
      network: number,
      mtu,
      mac,
    })),
  };
}

/** Of another kind of link the programs could not tell where the packet begins. */
export function isEthernet({ mac, link }: Underlay): boolean {
  return mac?.split(':').length === 6 && link !== 'lo';
}
