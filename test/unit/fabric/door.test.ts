import { expect, test } from 'vitest';
import { type Fabric, merge } from '../../../src/fabric/fabric.ts';
import { routed } from '../../../src/fabric/routed.ts';
import { vxlan } from '../../../src/fabric/vxlan.ts';
import { doorEnd, segmentAddress, shortcutHosts } from '../../../src/model/names.ts';
import { network, peer, view } from './views.ts';

const vni = network.vni ?? 0;

test('a segment has a door, which the uplink leads to what comes from a host', () => {
  const { links, shortcuts } = vxlan.desired(view());
  const inner = links.find(({ name }) => name === 'weft-door');
  expect(inner).toMatchObject({ up: true, peer: { name: doorEnd(vni), staysWithHost: true } });
  expect(shortcuts).toContainEqual({ link: 'weft-door', side: 'door' });

  const onHost = vxlan.shared([view()]);
  expect(onHost.links).toMatchObject([{ name: doorEnd(vni), up: false }]);
  expect(onHost.ports).toMatchObject([
    { destination: '10.9.0.1/32', link: 'eth0', network: shortcutHosts },
    { destination: `${segmentAddress(vni, 4789)}/128`, link: doorEnd(vni) },
  ]);
  expect(onHost.prefixes).toMatchObject([
    { destination: '10.9.0.2/32', link: 'eth0', network: shortcutHosts },
    { destination: '10.9.0.3/32', link: 'eth0', network: shortcutHosts },
  ]);
});

test('the uplink leads in what comes from those hosts only that are reached by it', () => {
  const peers = new Map([
    ['h2', { ...peer('h2', '10.9.0.2'), path: { link: 'eth1' } }],
    ['h3', peer('h3', 'fd09::3')],
  ]);
  expect(vxlan.shared([view({ peers })]).prefixes).toEqual([]);
});

test.each([
  ['where no packets take a shortcut', { shortcut: false }],
  ['by an uplink that is no Ethernet', { underlay: { ...view().underlay, mac: '' } }],
])('there is none %s', (_, changes) => {
  expect(vxlan.desired(view(changes)).links.map(({ name }) => name)).not.toContain('weft-door');
  expect(vxlan.shared([view(changes)])).toMatchObject({ links: [], shortcuts: [], ports: [] });
});

test('networks of both fabrics share the shortcut at the uplink', () => {
  const shared = ({ shared }: Fabric) => shared([view()]);
  const { shortcuts } = merge([shared(routed), shared(vxlan)]);
  expect(shortcuts.filter(({ link }) => link === 'eth0')).toEqual([{ link: 'eth0', side: 'in' }]);
});

test('the address of a segment tells its VNI, and the port, as VXLAN has them', () => {
  expect(segmentAddress(0x57_00_01, 4789)).toBe('fd57:6566:7400:1:0:12b5:5700:100');
});
