import { expect, test } from 'vitest';
import type { NetworkView } from '../../../src/fabric/fabric.ts';
import { routed } from '../../../src/fabric/routed.ts';
import { vxlan } from '../../../src/fabric/vxlan.ts';
import { hostEnd, shortcutNetwork } from '../../../src/model/names.ts';
import { claim, endpoint, local, network, peer, view, viewOf } from './views.ts';

const number = shortcutNetwork(network.key);

function prefixes(changes: Partial<NetworkView> = {}): string[] {
  return routed.desired(view(changes)).prefixes.map(({ destination }) => destination);
}

test.each([routed, vxlan])('a container is heard, and found, at its own link: $name', (fabric) => {
  const { shortcuts, ports } = fabric.endpoint(viewOf([4, 6]), { ...local, mtu: 1400 });
  const link = hostEnd(local.id);
  expect(shortcuts).toEqual([{ link, side: 'out' }]);
  expect(ports).toEqual([{ destination: '10.77.0.2/32', link, network: number, mtu: 1400, mac: local.mac }]);
});

test('other hosts are found by the blocks that lead to them, and by what passes', () => {
  const narrow = { ...peer('h3', '10.9.0.3'), mtu: 1400 };
  const peers = new Map([...view().peers, ['h3', narrow]]);
  expect(routed.desired(view({ peers })).prefixes).toEqual([
    { destination: '10.77.0.64/26', link: 'eth0', network: number, mtu: 1500 },
    { destination: '10.77.0.128/26', link: 'eth0', network: number, mtu: 1400 },
  ]);
});

test('those that packets are encapsulated to are found by the tunnel, and by what passes there', () => {
  const h3 = { ...peer('h3', '10.9.0.3'), direct: { passes: false, assumed: false }, mtu: 1400 };
  const peers = new Map([...view().peers, ['h3', h3]]);
  const claims = [claim('h2', '10.77.0.64/26', { 3: 'h3' })];
  expect(routed.desired(view({ peers, claims })).prefixes).toEqual([
    { destination: '10.77.0.64/26', link: 'eth0', network: number, mtu: 1500 },
    { destination: '10.77.0.67/32', link: 'weft-l3', network: number, mtu: 1350 },
  ]);
});

test('not a host by another link, nor a block of which it has an address', () => {
  const peers = new Map([...view().peers, ['h3', { ...peer('h3', '10.9.0.3'), path: { link: 'eth1' } }]]);
  expect(prefixes({ peers })).toEqual(['10.77.0.64/26']);
  expect(prefixes({ peers, claims: [claim('h2', '10.77.0.64/26', { 3: 'h3' })] })).toEqual([]);
});

test.each<[string, Partial<NetworkView>, string[]]>([
  ['uplink and tunnel', {}, ['eth0', 'weft-l3']],
  ['nothing, where it is switched off', { shortcut: false }, []],
  [
    'the tunnel, by an uplink that is no Ethernet',
    { underlay: { ...view().underlay, mac: '' } },
    ['weft-l3'],
  ],
  [
    'the tunnel, of a network that always encapsulates',
    { network: { ...network, encap: 'always' } },
    ['weft-l3'],
  ],
  ['the uplink, of one that never does', { network: { ...network, encap: 'never' } }, ['eth0']],
])('what takes it from other hosts comes by %s', (_, changes, links) => {
  expect(routed.shared([view(changes)]).shortcuts).toEqual(links.map((link) => ({ link, side: 'in' })));
  for (const { link } of routed.desired(view(changes)).prefixes) expect(links).toContain(link);
});

test('on a segment, the containers of other hosts are found by the device, by what passes', () => {
  const narrow = { ...peer('h3', '10.9.0.3'), mtu: 1400 };
  const { mac } = endpoint('h2', '10.77.0.66');
  const { shortcuts, prefixes: found } = vxlan.desired(
    view({ peers: new Map([...view().peers, ['h3', narrow]]) }),
  );
  expect(shortcuts).toContainEqual({ link: 'weft-vx', side: 'in' });
  expect(found).toEqual([
    { destination: '10.77.0.66/32', link: 'weft-vx', network: number, mtu: 1450, mac },
    { destination: '10.77.0.130/32', link: 'weft-vx', network: number, mtu: 1350, mac: expect.any(String) },
  ]);
  expect(vxlan.desired(view({ shortcut: false }))).toMatchObject({ shortcuts: [], ports: [], prefixes: [] });
});
