/**
 * `vxlan`: one Ethernet segment over all hosts. A bridge and a vxlan device in a namespace of the network's
 * own, so that networks may overlap and the host's netfilter is not in the path.
 *
 *   container eth0 -- veth -- br0 -- vxlan == UDP over the underlay == vxlan -- br0 -- veth -- eth0
 *
 * Nothing is learned or flooded: every remote endpoint has its entries. ARP and ND suppression need all three, or
 * stay mute: the VTEP behind the MAC (the device's own table), the port behind the MAC (the bridge's table), and
 * the neighbour on the bridge (net/bridge/br_arp_nd_proxy.c).
 */
import { emptyState, type FdbEntry, type NamespaceState, type Neighbour } from '../kernel/state.ts';
import { familyOf } from '../model/address.ts';
import { bridgeMac, containerEnd, hostEnd, portMacOf } from '../model/names.ts';
import { containerMtu, type Fabric, type LocalEndpoint, merge, type NetworkView } from './fabric.ts';
import { legInSegment } from './leg.ts';

const bridge = 'br0';
/** Born by the host's socket, so no link of the host may have this name. */
const device = 'weft-vx';

export const vxlan: Fabric = {
  name: 'vxlan',
  isolated: true,
  filter: 'bridge',
  /** Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14. */
  overhead: (underlay) => (underlay === 4 ? 20 : 40) + 30,
  addressLength: (_family, poolLength) => poolLength,
  desired: (view) =>
    merge([
      segment(view),
      wayOut(view),
      remoteEntries(view),
      ...view.local.map((endpoint) => endpointState(view, endpoint)),
    ]),
  endpoint: endpointState,
  sandbox: ({ leg }) => ({
    gateways: leg === undefined ? [] : leg.gateways.map((gateway) => gateway.replace(/\/.*/, '')),
    routes: [],
  }),
};

/**
 * Bridge and device carry the uplink's MTU, not the containers': a container that sends too much is told so
 * by the kernel (fragmentation needed) only if the packet gets as far as the encapsulation.
 */
function segment({ network, underlay }: NetworkView): NamespaceState {
  const { vni } = network;
  if (vni === undefined) return emptyState;
  const mtu = Math.max(underlay.mtu, containerMtu(vxlan, network, underlay));
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
      },
    ],
  };
}

function wayOut({ network, underlay, leg }: NetworkView): NamespaceState {
  return leg === undefined ? emptyState : legInSegment(leg, bridge, containerMtu(vxlan, network, underlay));
}

function remoteEntries({ remote, peers, underlay }: NetworkView): NamespaceState {
  const fdb: FdbEntry[] = [];
  const neighbours: Neighbour[] = [];
  for (const { host, mac, addresses } of remote) {
    const vtep = peers.get(host)?.address;
    // The device has a socket of one family only.
    if (vtep === undefined || familyOf(vtep) !== familyOf(underlay.address)) continue;
    fdb.push({ link: device, table: 'self', mac, vtep }, { link: device, table: 'master', mac });
    neighbours.push(...addresses.map((address) => ({ link: bridge, address, mac })));
  }
  return { ...emptyState, fdb, neighbours };
}

function endpointState({ network, underlay }: NetworkView, endpoint: LocalEndpoint): NamespaceState {
  const mtu = containerMtu(vxlan, network, underlay);
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
  };
}
