import { expect, test } from 'vitest';
import type { NetworkView } from '../../../src/fabric/fabric.ts';
import { routed } from '../../../src/fabric/routed.ts';
import { hostEnd, shortcutNetwork } from '../../../src/model/names.ts';
import { block, local, network, peer, view, viewOf } from './views.ts';

const number = shortcutNetwork(network.key);

function prefixes(changes: Partial<NetworkView> = {}): string[] {
  return routed.desired(view(changes)).prefixes.map(({ destination }) => destination);
}

test('a container is heard, and found, at its own link with its own addresses', () => {
  const { shortcuts, ports } = routed.endpoint(viewOf([4, 6]), { ...local, mtu: 1400 });
  const link = hostEnd(local.id);
  expect(shortcuts).toEqual([{ link, side: 'out' }]);
  expect(ports).toEqual([{ destination: '10.77.0.2/32', link, network: number, mtu: 1400, mac: local.mac }]);
});

test('other hosts are found by the blocks that lead to them as they are, and by what passes', () => {
  const narrow = { ...peer('h3', '10.9.0.3'), mtu: 1400 };
  const peers = new Map([...view().peers, ['h3', narrow]]);
  expect(routed.desired(view({ peers })).prefixes).toEqual([
    { destination: '10.77.0.64/26', link: 'eth0', network: number, mtu: 1500 },
    { destination: '10.77.0.128/26', link: 'eth0', network: number, mtu: 1400 },
  ]);
  expect(routed.shared([view()]).shortcuts).toEqual([{ link: 'eth0', side: 'in' }]);
});

const encapsulated = { ...peer('h3', '10.9.0.3'), direct: { passes: false, assumed: false } };
const elsewhere = { ...peer('h3', '10.9.0.3'), path: { link: 'eth1' } };

test.each([
  ['that packets are encapsulated to', encapsulated],
  ['by another link', elsewhere],
])('not a host %s, nor a block of which it has an address', (_, h3) => {
  const peers = new Map([...view().peers, ['h3', h3]]);
  expect(prefixes({ peers })).toEqual(['10.77.0.64/26']);
  expect(prefixes({ peers, blocks: [block('h2', '10.77.0.64/26', { 3: 'h3' })] })).toEqual([]);
});

test.each<[string, Partial<NetworkView>]>([
  ['where it is switched off', { shortcut: false }],
  ['by an uplink that is no Ethernet', { underlay: { ...view().underlay, mac: '' } }],
  ['of a network that always encapsulates', { network: { ...network, encap: 'always' } }],
])('nothing comes from other hosts, or goes there, %s', (_, changes) => {
  expect(prefixes(changes)).toEqual([]);
  expect(routed.shared([view(changes)]).shortcuts).toEqual([]);
});
