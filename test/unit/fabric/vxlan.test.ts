import { expect, test } from 'vitest';
import { vxlan } from '../../../src/fabric/vxlan.ts';
import { emptyState } from '../../../src/kernel/state.ts';
import { endpoint, local, network, peer, view, viewOf } from './views.ts';

test('gives a remote container the three entries that ARP suppression needs', () => {
  const { fdb, neighbours } = vxlan.desired(view());
  const { mac } = endpoint('h2', '10.77.0.66');
  expect(fdb.filter((entry) => entry.mac === mac)).toEqual([
    { link: 'weft-vx', table: 'self', mac, vtep: '10.9.0.2' },
    { link: 'weft-vx', table: 'master', mac },
  ]);
  expect(neighbours.filter((entry) => entry.mac === mac)).toEqual([
    { link: 'br0', address: '10.77.0.66', mac },
  ]);
});

test('answers for all addresses of a remote container, and sends to it over either underlay', () => {
  const { fdb, neighbours } = vxlan.desired(viewOf([4, 6], 'IPv6'));
  const { mac } = endpoint('h2', '10.77.0.66');
  expect(fdb).toContainEqual({ link: 'weft-vx', table: 'self', mac, vtep: 'fd09::2' });
  expect(neighbours.filter((entry) => entry.mac === mac).map(({ address }) => address)).toEqual([
    '10.77.0.66',
    'fd77::42',
  ]);
});

test('leads to the last host that announced a MAC or an address, and nowhere else what is here', () => {
  const left = endpoint('h2', '10.77.0.66');
  const moved = { ...left, host: 'h3', id: '3'.repeat(64) };
  const { mac } = left;
  expect(vxlan.desired(view({ remote: [left, moved] }))).toMatchObject({
    fdb: [
      { vtep: '10.9.0.3', mac },
      { table: 'master', mac },
    ],
    neighbours: [{ address: '10.77.0.66', mac }],
  });
  const back = { ...left, host: 'h1', slot: 1 };
  expect(vxlan.desired(view({ remote: [left], local: [back] }))).toMatchObject({ fdb: [], neighbours: [] });
});

test('sends what is for all once to each host that has a container, if the network is to broadcast', () => {
  const more = [...view().remote, endpoint('h2', '10.77.0.67')];
  const floods = (broadcast: boolean) =>
    vxlan
      .desired(view({ network: { ...network, broadcast }, remote: more }))
      .fdb.filter(({ mac }) => mac === '00:00:00:00:00:00');
  expect(floods(true)).toMatchObject([
    { link: 'weft-vx', table: 'self', vtep: '10.9.0.2' },
    { link: 'weft-vx', table: 'self', vtep: '10.9.0.3' },
  ]);
  expect(floods(false)).toEqual([]);
});

test('leaves out a host that is known by an address of the other family', () => {
  const peers = new Map([['h2', peer('h2', 'fd09::2')]]);
  expect(vxlan.desired(view({ peers })).fdb).toEqual([]);
});

test('carries itself whatever there is and gives containers what is left of the uplink', () => {
  const { links } = vxlan.desired(view());
  expect(links.map(({ name, mtu }) => [name, mtu])).toEqual([
    ['br0', 65_535],
    ['weft-vx', 65_535],
    ['weft-door', 65_535],
    [expect.stringContaining('weft'), 1450],
  ]);
  expect(vxlan.overhead(6, undefined)).toBe(70);
});

test('tells the kernel of hosts whose uplink is narrower', () => {
  const peers = new Map(
    [
      { ...peer('h2', '10.9.0.2'), mtu: 1400 },
      { ...peer('h3', '10.9.0.3'), mtu: 9000 },
      { ...peer('h4', '10.8.0.4'), mtu: 1400, path: { link: 'eth0', via: '10.9.0.254' } },
    ].map((known) => [known.id, known]),
  );
  expect(vxlan.shared([view({ peers })]).routes).toEqual([
    { destination: '10.9.0.2/32', type: 'unicast', link: 'eth0', source: '10.9.0.1', mtu: 1400 },
    {
      ...{ destination: '10.8.0.4/32', type: 'unicast', link: 'eth0', via: '10.9.0.254' },
      ...{ source: '10.9.0.1', mtu: 1400 },
    },
  ]);
  expect(vxlan.shared([])).toEqual(emptyState);
});

test('sends from this host with the VNI of the network', () => {
  const device = vxlan.desired(view()).links.find(({ kind }) => kind === 'vxlan');
  expect(device).toMatchObject({ vni: network.vni, local: '10.9.0.1', port: 4789, suppressNeighbours: true });
});

test('makes a container a port of the bridge and adds no route in it', () => {
  expect(vxlan.endpoint(view(), local).links[0]).toMatchObject({ master: 'br0' });
  expect(vxlan.sandbox(view(), local).routes).toEqual([]);
  expect(vxlan.addressLength(4, 16)).toBe(16);
});
