import { expect, test } from 'vitest';
import { routed } from '../../../src/fabric/routed.ts';
import { hostEnd } from '../../../src/model/names.ts';
import { block, local, view, viewOf } from './views.ts';

const routes = (changes = {}) => routed.desired(view({ local: [], ...changes })).routes;

test('routes one prefix for each block of another host, and none for its own', () => {
  expect(routes()).toEqual([
    { destination: '10.77.0.0/16', type: 'unreachable' },
    { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' },
    { destination: '10.77.0.128/26', type: 'unicast', link: 'eth0', via: '10.9.0.3' },
  ]);
});

test('routes an address that a host borrowed from the block of another', () => {
  const blocks = [block('h1', '10.77.0.0/26', { 7: 'h2' }), block('h2', '10.77.0.64/26', { 3: 'h1' })];
  expect(routes({ blocks })).toContainEqual({
    destination: '10.77.0.7/32',
    type: 'unicast',
    link: 'eth0',
    via: '10.9.0.2',
  });
  expect(routes({ blocks }).filter(({ destination }) => destination === '10.77.0.67/32')).toEqual([]);
});

test.each([
  ['IPv4', 'fe80::2'],
  ['IPv6', 'fd09::2'],
] as const)('routes IPv6 over an %s underlay via an IPv6 address of the host', (underlay, via) => {
  expect(routed.desired(viewOf([6], underlay)).routes).toContainEqual({
    destination: 'fd77::40/122',
    type: 'unicast',
    link: 'eth0',
    via,
  });
});

test('routes IPv4 over an IPv6 underlay, without an IPv4 address of the host', () => {
  expect(routed.desired(viewOf([4], 'IPv6')).routes).toContainEqual({
    destination: '10.77.0.64/26',
    type: 'unicast',
    link: 'eth0',
    via: 'fd09::2',
  });
});

test('answers at once for IPv6 of a host that has none on the shared link', () => {
  const peers = new Map([['h2', { id: 'h2', address: '10.9.0.2', path: { link: 'eth0' } }]]);
  expect(routed.desired({ ...viewOf([4, 6]), peers }).routes).toEqual(
    expect.arrayContaining([
      { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' },
      { destination: 'fd77::40/122', type: 'unreachable' },
    ]),
  );
});

test('wires a container of both families by one link, with a next hop in each', () => {
  const both = viewOf([4, 6]);
  const [local] = both.local;
  if (local === undefined) throw new Error('the view has an endpoint');
  const link = hostEnd(local.id);
  const { links, addresses, routes } = routed.endpoint(both, local);
  expect(links).toHaveLength(1);
  expect(addresses.map(({ address }) => address)).toEqual(['169.254.1.1/32', 'fe80::1/128']);
  expect(routes).toEqual([
    { destination: '10.77.0.2/32', type: 'unicast', link },
    { destination: 'fd77::2/128', type: 'unicast', link },
  ]);
  expect(routed.sandbox(both, local).routes).toEqual([
    { destination: '169.254.1.1/32' },
    { destination: '10.77.0.0/16', via: '169.254.1.1' },
    { destination: 'fe80::1/128' },
    { destination: 'fd77::/64', via: 'fe80::1' },
  ]);
});

test('answers at once for a host that it cannot reach directly', () => {
  const peers = new Map([
    ['h2', { id: 'h2', address: '10.8.0.2', path: { link: 'eth0', via: '10.9.0.254' } }],
  ]);
  expect(routes({ peers })).toContainEqual({ destination: '10.77.0.64/26', type: 'unreachable' });
  expect(routes({ peers })).toContainEqual({ destination: '10.77.0.128/26', type: 'unreachable' });
});

test('wires a container by a link, a next hop on it, and a route to the one address', () => {
  const link = hostEnd(local.id);
  const state = routed.endpoint(view(), local);
  expect(state.addresses).toEqual([{ link, address: '169.254.1.1/32', scope: 'link' }]);
  expect(state.routes).toEqual([{ destination: '10.77.0.2/32', type: 'unicast', link }]);
  expect(routed.sandbox(view(), local).routes).toEqual([
    { destination: '169.254.1.1/32' },
    { destination: '10.77.0.0/16', via: '169.254.1.1' },
  ]);
});

test('gives the second network of a container another next hop', () => {
  expect(routed.sandbox(view(), { ...local, slot: 2 }).routes[0]).toEqual({ destination: '169.254.1.2/32' });
});

test('leads an open network’s containers to the others, and to its own subnet before anything else', () => {
  const open = { ...view().network, pools: ['10.77.0.0/24'], isolate: false };
  expect(routed.sandbox(view({ network: open, beyond: ['10.79.0.0/24'] }), local).routes).toEqual([
    { destination: '169.254.1.1/32' },
    { destination: '10.77.0.0/25', via: '169.254.1.1' },
    { destination: '10.77.0.128/25', via: '169.254.1.1' },
    { destination: '10.79.0.0/24', via: '169.254.1.1' },
  ]);
});
