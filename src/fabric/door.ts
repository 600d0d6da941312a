/**
 * The door of a segment: a pair of links by which the shortcut of the host leads datagrams for containers into the
 * segment's namespace, past the host's packet filter, UDP, and the vxlan device.
 *
 *   eth0 -- weft-d<VNI> == weft-door -- container        eth0 -- UDP -- weft-vx -- br0 -- container: the ordinary way
 *
 * The host's end never goes up, so nothing leaves by it: a program may lead packets to the other end all the same.
 */
import { emptyState, type NamespaceState, type ShortcutEntry } from '../kernel/state.ts';
import { familyOf, singlePrefix } from '../model/address.ts';
import { doorEnd, portMacOf, segmentAddress, shortcutHosts, shortcutSegments } from '../model/names.ts';
import { hostsAt, type NetworkView } from './fabric.ts';
import { isEthernet } from './shortcut.ts';

const inner = 'weft-door';
/** Of what comes in by it, the links behind it say what fits. */
const mtu = 65_535;

function hasDoor({ shortcut, underlay }: NetworkView): boolean {
  return shortcut && isEthernet(underlay);
}

/** @param device by which all comes in that does not come in by the door */
export function doorInSegment(view: NetworkView, vni: number, device: string): NamespaceState {
  if (!hasDoor(view)) return emptyState;
  const name = doorEnd(vni);
  return {
    ...emptyState,
    links: [
      {
        kind: 'veth',
        name: inner,
        mtu,
        mac: portMacOf(inner),
        up: true,
        strictSource: false,
        peer: { name, mac: portMacOf(name), mtu, staysWithHost: true },
      },
    ],
    shortcuts: [{ link: inner, side: 'door' }],
    ports: [{ destination: '::/128', link: device, network: shortcutSegments, mtu }],
  };
}

/** Its link is there once the segment is. */
export function doorsOnHost(views: readonly NetworkView[]): NamespaceState {
  const [view] = views.filter(hasDoor);
  if (view === undefined) return emptyState;
  const { underlay, peers } = view;
  const vnis = views.flatMap(({ network }) => network.vni ?? []);
  const { link } = underlay;
  const here = { link, network: shortcutHosts, mtu: underlay.mtu };
  const hosts = hostsAt(peers).filter(
    ({ address, path }) => path?.link === link && familyOf(address) === familyOf(underlay.address),
  );
  return {
    ...emptyState,
    links: vnis.map((vni) => {
      const name = doorEnd(vni);
      return { kind: 'veth', name, mtu, mac: portMacOf(name), up: false, strictSource: false };
    }),
    shortcuts: [{ link, side: 'in' }],
    ports: [
      { ...here, destination: singlePrefix(underlay.address) },
      ...vnis.map((vni): ShortcutEntry => {
        const destination = singlePrefix(segmentAddress(vni, underlay.vxlanPort));
        return { destination, link: doorEnd(vni), network: shortcutSegments, mtu };
      }),
    ],
    prefixes: hosts.map(({ address }) => ({ ...here, destination: singlePrefix(address) })),
  };
}
