/** What hosts hold, for tests. */
import { emptyState, type NamespaceState, ownTable, type Veth, type Vxlan } from '../../src/kernel/state.ts';

export const veth: Veth = {
  kind: 'veth',
  name: 'weft0123456789h',
  mtu: 1500,
  mac: 'ee:ee:ee:ee:ee:ee',
  up: true,
  strictSource: true,
  peer: { name: 'weft0123456789c', mac: '02:57:0a:4d:00:05', mtu: 1500 },
};

const network = '0123456789abcdef';

/** A container behind its own link, another host's blocks behind that host, and a pool that ends here. */
export const routed: NamespaceState = {
  ...emptyState,
  links: [veth],
  addresses: [
    { link: veth.name, address: '169.254.1.1/32', scope: 'link' },
    { link: veth.name, address: 'fe80::1/128', scope: 'link' },
  ],
  routes: [
    { destination: '10.77.0.5/32', type: 'unicast', link: veth.name },
    { destination: 'fd77::5/128', type: 'unicast', link: veth.name },
    { destination: '10.77.0.64/26', type: 'unicast', via: '10.9.0.2' },
    { destination: '10.77.0.128/26', type: 'unicast', link: 'eth0', via: '10.9.0.3' },
    { destination: 'fd77::40/122', type: 'unicast', via: 'fd09::2' },
    { destination: '10.77.0.0/16', type: 'unreachable' },
    { destination: 'fd77::/64', type: 'unreachable' },
  ],
  rules: [
    { family: 4, priority: 1190, table: 1190, from: '10.77.0.0/16', inputLink: veth.name },
    { family: 6, priority: 1190, table: 1190, to: 'fd77::/64' },
    { family: 4, priority: 1191, table: 1190, mark: 0x57_00_00 },
  ],
  shortcuts: [
    { link: veth.name, side: 'out' },
    { link: 'eth0', side: 'in' },
  ],
  ports: [
    { destination: '10.77.0.5/32', link: veth.name, network, mtu: 1500, mac: '02:57:0a:4d:00:05' },
    { destination: 'fd77::5/128', link: veth.name, network, mtu: 1500, mac: '02:57:0a:4d:00:05' },
  ],
  prefixes: [
    { destination: '10.77.0.128/26', link: 'eth0', network, mtu: 1500 },
    { destination: 'fd77::40/122', link: 'eth0', network, mtu: 1400, mac: '02:57:0a:4d:00:41' },
  ],
};

export const vxlan: Vxlan = {
  kind: 'vxlan',
  name: 'vx0',
  mtu: 1500,
  mac: '02:5c:00:00:00:02',
  up: true,
  master: 'br0',
  vni: 4097,
  local: '10.9.0.1',
  port: 4789,
  suppressNeighbours: true,
  looseSource: false,
};

/** Of the host's own namespace, with a host behind it, and that one's containers. */
export const tunnel: NamespaceState = {
  ...emptyState,
  links: [
    {
      kind: 'vxlan',
      name: 'weft-l3',
      mtu: 1450,
      mac: '02:5d:0a:09:00:01',
      up: true,
      vni: 4095,
      local: '10.9.0.1',
      port: 4789,
      suppressNeighbours: false,
      looseSource: true,
    },
  ],
  fdb: [{ link: 'weft-l3', table: 'self', mac: '02:5d:0a:09:01:02', vtep: '10.9.1.2' }],
  neighbours: [
    { link: 'weft-l3', address: '10.9.1.2', mac: '02:5d:0a:09:01:02' },
    { link: 'weft-l3', address: 'fe80::a09:102', mac: '02:5d:0a:09:01:02' },
  ],
  routes: [
    { destination: '10.77.0.192/26', type: 'unicast', link: 'weft-l3', via: '10.9.1.2', mtu: 1350 },
    { destination: 'fd77::c0/122', type: 'unicast', link: 'weft-l3', via: 'fe80::a09:102', mtu: 1350 },
    { destination: '10.9.1.2/32', type: 'unicast', link: 'weft-l3', via: '10.9.1.2', table: ownTable },
    { destination: 'fd09::2/128', type: 'unicast', link: 'weft-l3', via: 'fe80::a09:102', table: ownTable },
  ],
};

export const port: Veth = {
  ...veth,
  name: 'weft9876543210h',
  mtu: 1450,
  mac: '02:5c:00:00:00:03',
  master: 'br0',
  strictSource: false,
  peer: { name: 'weft9876543210c', mac: '02:57:0a:4e:00:05', mtu: 1450 },
};
export const remoteMac = '02:57:0a:4e:00:07';

/** A bridge with a container on this host, one on another, and everyone else behind two VTEPs. */
export const segment: NamespaceState = {
  ...emptyState,
  links: [{ kind: 'bridge', name: 'br0', mtu: 1500, mac: '02:5b:00:00:00:01', up: true }, vxlan, port],
  fdb: [
    { link: 'vx0', table: 'self', mac: remoteMac, vtep: '10.9.0.2' },
    { link: 'vx0', table: 'master', mac: remoteMac },
    { link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep: '10.9.0.2' },
    { link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep: '10.9.0.3' },
  ],
  neighbours: [
    { link: 'br0', address: '10.78.0.7', mac: remoteMac },
    { link: 'br0', address: 'fd78::7', mac: remoteMac },
  ],
};
