import { expect, test } from 'vitest';
import { hostTable } from '../../../src/fabric/host-table.ts';
import {
  inSegment,
  legAddresses,
  legInSegment,
  legOnHost,
  legTable,
  onLeg,
} from '../../../src/fabric/leg.ts';
import { vxlan } from '../../../src/fabric/vxlan.ts';
import { local, tunnels, view } from './views.ts';

const leg = { number: 300, gateways: ['10.77.0.1/16', 'fd77::1/64'] };
const published = { protocol: 6, hostAddress: '10.9.0.1', hostPort: 8080, address: '10.77.0.2', port: 80 };

test('has an address of each family of the network, of its own', () => {
  expect(legAddresses(leg)).toEqual(['169.254.3.44/32', 'fd57:6566:7400::12c/128']);
  expect(legAddresses({ number: 1, gateways: ['10.77.0.1/16'] })).toEqual(['169.254.2.1/32']);
});

test('joins the bridge, which has the gateways, to the host', () => {
  const inner = legInSegment(leg, 'br0', 1450);
  const outer = legOnHost(leg, 1450);
  const addressesOf = ({ addresses }: typeof inner, name: string) =>
    addresses.flatMap(({ link, address }) => (link === name ? [address] : []));
  expect(addressesOf(inner, 'br0')).toEqual([...leg.gateways, 'fe80::5b:ff:fe00:1/128']);
  expect(inner.links).toMatchObject([{ peer: { name: 'weft-g300', staysWithHost: true } }]);
  expect(outer.links).toMatchObject([{ name: 'weft-g300', mtu: 1450 }]);
  expect(outer.routes.map(({ destination }) => destination)).toEqual(legAddresses(leg));
  const ends = addressesOf(outer, 'weft-g300').map((address) => address.replace(/\/.*/, ''));
  expect(inner.routes.map(({ via }) => via)).toEqual(ends.slice(0, 2));
});

test('is the way out of containers, where there is one', () => {
  expect(vxlan.sandbox(view({ leg }), local).gateways).toEqual(['10.77.0.1', 'fd77::1']);
  expect(vxlan.sandbox(view(), local).gateways).toEqual([]);
  expect(vxlan.desired(view({ leg })).routes).not.toEqual([]);
});

test('is published by the host at the host’s port, and by the segment at the container’s', () => {
  const ways = { sources: legAddresses(leg), publications: [onLeg(leg, published)] };
  const outer = hostTable({
    underlay: view().underlay,
    networks: [],
    segments: legAddresses(leg),
    uplinks: [],
    tunnelInUse: false,
    endpoints: [],
    ways,
    tunnels,
  });
  const elements = (sets: typeof outer.sets, name: string) => sets.find((set) => set.name === name)?.elements;
  expect(elements(outer.sets, 'publishedAt4')).toEqual(['10.9.0.1 . 6 . 8080 : 169.254.3.44 . 8080']);
  // Kept apart from every network, and let out.
  expect(elements(outer.sets, 'pools4')).toEqual(['169.254.3.44/32']);
  expect(elements(outer.sets, 'egress4')).toEqual(['169.254.3.44/32']);
  const inner = legTable([inSegment(published)]);
  expect(elements([...inner.sets], 'published4')).toEqual(['6 . 8080 : 10.77.0.2 . 80']);
});
