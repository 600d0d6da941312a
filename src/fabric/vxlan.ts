/**
 * `vxlan`: one Ethernet segment over all hosts. A bridge and a vxlan device in a namespace of the network's
 * own, so that networks may overlap and the host's netfilter is not in the path.
 *
 *   container eth0 -- veth -- br0 -- vxlan == UDP over the underlay == vxlan -- br0 -- veth -- eth0
 *
 * Nothing is learned, nor sent to all hosts unless the network is to broadcast: every remote endpoint has its
 * entries. ARP and ND suppression need all three, or stay mute: the VTEP behind the MAC (the device's own table),
 * the port behind the MAC (the bridge's table), and the neighbour on the bridge (net/bridge/br_arp_nd_proxy.c).
 */
import {
  allOtherMacs,
  emptyState,
  type FdbEntry,
  type NamespaceState,
  type Neighbour,
  type Route,
  type ShortcutEntry,
} from '../kernel/state.ts';
import { familyOf, singlePrefix } from '../model/address.ts';
import { bridgeMac, containerEnd, hostEnd, portMacOf, shortcutNetwork } from '../model/names.ts';
import { doorInSegment, doorsOnHost } from './door.ts';
import {
  containerMtu,
  type Fabric,
  hostsAt,
  type LocalEndpoint,
  merge,
  type NetworkView,
  type Peer,
} from './fabric.ts';
import { legInSegment } from './leg.ts';
import { shortcutPort } from './shortcut.ts';
import { vxlanOverhead } from './tunnel.ts';

const bridge = 'br0';
/** Born by the host's socket, so no link of the host may have this name. */
const device = 'weft-vx';

export const vxlan: Fabric = {
  name: 'vxlan',
  isolated: true,
  filter: 'bridge',
  overhead: vxlanOverhead,
  addressLength: (_family, poolLength) => poolLength,
  desired: (view) =>
    merge([
      segment(view),
      door(view),
      wayOut(view),
      remoteEntries(view),
      ...view.local.map((endpoint) => endpointState(view, endpoint)),
    ]),
  shared: (views) => merge([narrowHosts(views), doorsOnHost(views)]),
  endpoint: endpointState,
  sandbox: ({ leg }) => ({
    gateways: leg === undefined ? [] : leg.gateways.map((gateway) => gateway.replace(/\/.*/, '')),
    routes: [],
  }),
};

/**
 * Of bridge and device. A container that sends too much is told so by the kernel (fragmentation needed) only
 * if the packet gets as far as the encapsulation, which knows what fits; and what fits may change.
 */
const mtu = 65_535;

function segment({ network, underlay, shortcut }: NetworkView): NamespaceState {
  const { vni } = network;
  if (vni === undefined) return emptyState;
  return {
    ...emptyState,
    links: [
      { kind: 'bridge', name: bridge, mtu, mac: bridgeMac, up: true },
      {
        kind: 'vxlan',
        name: device,
        mtu,
        mac: portMacOf(underlay.hostId),
        up: true,
        master: bridge,
        vni,
        local: underlay.address,
        port: underlay.vxlanPort,
        suppressNeighbours: true,
        looseSource: false,
      },
    ],
    shortcuts: shortcut ? [{ link: device, side: 'in' }] : [],
  };
}

function door(view: NetworkView): NamespaceState {
  const { vni } = view.network;
  return vni === undefined ? emptyState : doorInSegment(view, vni, device);
}

function wayOut({ network, underlay, leg }: NetworkView): NamespaceState {
  return leg === undefined ? emptyState : legInSegment(leg, bridge, containerMtu(vxlan, network, underlay));
}

/**
 * Hosts whose uplink takes less than this one's. Without a route that says so, what is too large for one would
 * be lost without a word: on the way, when it is on the link; or, put together again from what a router cut up,
 * at the link of a container there, which has the MTU of that uplink.
 */
function narrowHosts([view]: readonly NetworkView[]): NamespaceState {
  if (view === undefined) return emptyState;
  const { peers, underlay } = view;
  const { link, address: source } = underlay;
  const routes = hostsAt(peers).flatMap(({ address, path, mtu }): Route[] => {
    if (path?.link !== link || mtu >= underlay.mtu || familyOf(address) !== familyOf(source)) return [];
    const destination = singlePrefix(address);
    const via = path.via === undefined ? {} : { via: path.via };
    return [{ destination, type: 'unicast', link, ...via, source, mtu }];
  });
  return { ...emptyState, routes };
}

/**
 * A container that moves keeps its MAC and addresses, and the host that it was on may be late to say that it is gone:
 * the last who announced one has it, and this host its own.
 */
function remoteEntries(view: NetworkView): NamespaceState {
  const { network, remote, peers, underlay, local } = view;
  const hosts = new Map<string, Peer>();
  const all = new Set<string>();
  const macs = new Map<string, string>();
  for (const { host, mac, addresses } of remote) {
    const peer = peers.get(host);
    // The device has a socket of one family only.
    if (peer === undefined || familyOf(peer.address) !== familyOf(underlay.address)) continue;
    hosts.set(mac, peer);
    all.add(peer.address);
    for (const address of addresses) macs.set(address, mac);
  }
  for (const { mac, addresses } of local) {
    hosts.delete(mac);
    for (const address of addresses) macs.delete(address);
  }
  const flood = Array.from(network.broadcast ? all : [], (vtep): FdbEntry => {
    return { link: device, table: 'self', mac: allOtherMacs, vtep };
  });
  const fdb = Array.from(hosts, ([mac, { address: vtep }]): FdbEntry[] => [
    { link: device, table: 'self', mac, vtep },
    { link: device, table: 'master', mac },
  ]);
  const neighbours = Array.from(macs, ([address, mac]): Neighbour => ({ link: bridge, address, mac }));
  const prefixes = Array.from(macs).flatMap(([address, mac]) =>
    shortcutTo(view, address, mac, hosts.get(mac)),
  );
  return { ...emptyState, fdb: [...flood, ...fdb.flat()], neighbours, prefixes };
}

/** The device finds the host by the MAC; it does so, and answers for what does not fit, on the ordinary way as well. */
function shortcutTo(
  { network, underlay, shortcut }: NetworkView,
  address: string,
  mac: string,
  host: Peer | undefined,
): ShortcutEntry[] {
  if (!shortcut || host === undefined) return [];
  const mtu = Math.min(underlay.mtu, host.mtu) - vxlanOverhead(familyOf(underlay.address));
  return [
    { destination: singlePrefix(address), link: device, network: shortcutNetwork(network.key), mtu, mac },
  ];
}

function endpointState(view: NetworkView, endpoint: LocalEndpoint): NamespaceState {
  const mtu = endpoint.mtu ?? containerMtu(vxlan, view.network, view.underlay);
  return {
    ...emptyState,
    links: [
      {
        kind: 'veth',
        name: hostEnd(endpoint.id),
        mtu,
        mac: portMacOf(endpoint.id),
        up: true,
        master: bridge,
        strictSource: false,
        peer: { name: containerEnd(endpoint.id), mac: endpoint.mac, mtu },
      },
    ],
    ...shortcutPort(view, endpoint, mtu),
  };
}
