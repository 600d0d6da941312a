import { describe, expect, test } from 'vitest';
import type { NetworkView, Peer } from '../../../src/fabric/fabric.ts';
import { probeSource } from '../../../src/fabric/reach.ts';
import { routed } from '../../../src/fabric/routed.ts';
import { tunnelRoute } from '../../../src/fabric/tunnel.ts';
import { emptyState } from '../../../src/kernel/state.ts';
import { hostEnd } from '../../../src/model/names.ts';
import type { Encap } from '../../../src/model/records.ts';
import { claim, endpoint, local, network, peer, view, viewOf } from './views.ts';

const routes = (changes = {}) => routed.desired(view({ local: [], ...changes })).routes;

test('routes one prefix for each block of another host, and none for its own', () => {
  expect(routes()).toEqual([
    { destination: '10.77.0.0/16', type: 'unreachable' },
    { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' },
    { destination: '10.77.0.128/26', type: 'unicast', link: 'eth0', via: '10.9.0.3' },
    { destination: '10.77.0.0/32', type: 'unicast', link: 'eth0' },
  ]);
});

test('routes an address that a host borrowed from the block of another', () => {
  const claims = [claim('h1', '10.77.0.0/26', { 7: 'h2' }), claim('h2', '10.77.0.64/26', { 3: 'h1' })];
  expect(routes({ claims })).toContainEqual({
    destination: '10.77.0.7/32',
    type: 'unicast',
    link: 'eth0',
    via: '10.9.0.2',
  });
  expect(routes({ claims }).filter(({ destination }) => destination === '10.77.0.67/32')).toEqual([]);
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

test('gets IPv6 to a host that has none on the shared link through the tunnel, if it may', () => {
  const { linkLocal: _, ...h2 } = peer('h2', '10.9.0.2');
  const of = (encap: Encap) => {
    const both = viewOf([4, 6]);
    return routed.desired({ ...both, network: { ...both.network, encap }, peers: new Map([['h2', h2]]) })
      .routes;
  };
  const direct = { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' };
  const destination = 'fd77::40/122';
  expect(of('never')).toEqual(expect.arrayContaining([direct, { destination, type: 'unreachable' }]));
  expect(of('auto')).toEqual(
    expect.arrayContaining([
      direct,
      { destination, type: 'unicast', link: 'weft-l3', via: 'fe80::25d:a09:2', mtu: 1450 },
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

describe('a subnet that is one block', () => {
  const of = (pool: string, owner: string, lent?: Readonly<Record<string, string>>, local: string[] = []) => {
    const seen = view({
      network: { ...network, pools: [pool] },
      claims: [{ ...claim(owner, pool, lent), pool }],
      local: local.map((address) => ({ ...endpoint('h1', address), slot: 1 })),
    });
    const { routes } = routed.desired(seen);
    const destinations = routes.map(({ destination }) => destination);
    expect(new Set(destinations).size).toBe(destinations.length);
    return routes.filter(({ destination }) => destination === pool);
  };
  const direct = { type: 'unicast', link: 'eth0' };

  test('is where its host is, and nowhere if that is this one', () => {
    const destination = '10.77.0.0/26';
    expect(of(destination, 'h2')).toEqual([{ ...direct, destination, via: '10.9.0.2' }]);
    expect(of(destination, 'h1')).toEqual([{ destination, type: 'unreachable' }]);
  });

  test('of one address is where its container is', () => {
    const destination = '10.77.0.0/32';
    expect(of(destination, 'h2')).toEqual([{ ...direct, destination, via: '10.9.0.2' }]);
    expect(of(destination, 'h2', { 0: 'h3' })).toEqual([{ ...direct, destination, via: '10.9.0.3' }]);
    expect(of(destination, 'h2', { 0: 'h1' }, ['10.77.0.0'])).toMatchObject([{ type: 'unicast' }]);
  });
});

test('answers at once for a host that it cannot reach', () => {
  const { path: _, ...lost } = peer('h2', '10.8.0.2');
  const peers = new Map([['h2', lost]]);
  expect(routes({ peers })).toContainEqual({ destination: '10.77.0.64/26', type: 'unreachable' });
  expect(routes({ peers })).toContainEqual({ destination: '10.77.0.128/26', type: 'unreachable' });
});

describe('which way packets go to a host', () => {
  const near = peer('h2', '10.9.0.2');
  const ways: Record<string, Partial<Peer>> = {
    'on the link, which lets them pass': {},
    'on the link, which drops them': { direct: { passes: false, assumed: false } },
    'behind a router': { path: { link: 'eth0', via: '10.9.0.254' } },
  };
  const direct = { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' };
  const tunnel = { ...direct, link: 'weft-l3', mtu: 1450 };
  const nothing = { destination: '10.77.0.64/26', type: 'unreachable' };
  const [onLink, dropped, routedTo] = Object.keys(ways);

  test.each([
    ['auto', onLink, direct],
    ['auto', dropped, tunnel],
    ['auto', routedTo, tunnel],
    ['never', onLink, direct],
    ['never', dropped, direct],
    ['never', routedTo, nothing],
    ['always', onLink, tunnel],
    ['always', dropped, tunnel],
    ['always', routedTo, tunnel],
  ] as const)('weft.encap=%s, %s', (encap, way = '', route) => {
    const state = { network: { ...network, encap }, peers: new Map([['h2', { ...near, ...ways[way] }]]) };
    expect(routes(state)).toContainEqual(route);
  });
});

test('routes to a host with a narrower uplink, or wider, by what both can take', () => {
  const of = (mtu: number, passes: boolean) => {
    const h2 = { ...peer('h2', '10.9.0.2'), mtu, direct: { passes, assumed: false } };
    return routes({ peers: new Map([['h2', h2]]) }).find(({ destination }) => destination === '10.77.0.64/26')
      ?.mtu;
  };
  expect([of(1400, true), of(1400, false)]).toEqual([1400, 1350]);
  expect([of(9000, true), of(9000, false)]).toEqual([undefined, 1450]);
});

describe('the tunnel', () => {
  const shared = (...encaps: (Encap | undefined)[]) =>
    routed.shared(encaps.map((encap) => view({ network: { ...network, ...(encap && { encap }) } })));

  test('is one for all networks, with every host of theirs behind it, whichever way is taken now', () => {
    const state = shared(undefined, 'always');
    expect(state.links).toEqual([
      expect.objectContaining({ name: 'weft-l3', mtu: 1450, local: '10.9.0.1', mac: '02:5d:0a:09:00:01' }),
    ]);
    expect(state.neighbours).toEqual([
      { link: 'weft-l3', address: '10.9.0.2', mac: '02:5d:0a:09:00:02' },
      { link: 'weft-l3', address: '10.9.0.3', mac: '02:5d:0a:09:00:03' },
    ]);
    expect(state.fdb.map((entry) => entry.table === 'self' && entry.vtep)).toEqual(['10.9.0.2', '10.9.0.3']);
  });

  test('leads answers of containers to the hosts behind it, and nothing else', () => {
    const { routes, rules } = shared('always');
    const table = 1190;
    expect(routes).toEqual([
      {
        ...{ destination: '10.9.0.2/32', type: 'unicast', link: 'weft-l3', via: '10.9.0.2' },
        ...{ mtu: 1450, table },
      },
      {
        ...{ destination: '10.9.0.3/32', type: 'unicast', link: 'weft-l3', via: '10.9.0.3' },
        ...{ mtu: 1450, table },
      },
    ]);
    expect(rules).toEqual([{ family: 4, priority: table, table, mark: 0x57_00_00 }]);
  });

  test.each([
    ['packets go as they are', true, false],
    ['they are only assumed not to', false, true],
  ])('has the kernel look up no route by a rule while %s', (_, passes, assumed) => {
    const h2 = { ...peer('h2', '10.9.0.2'), direct: { passes, assumed } };
    const { links, routes, rules } = routed.shared([view({ peers: new Map([['h2', h2]]) })]);
    expect(links).toHaveLength(1);
    expect([...routes, ...rules]).toEqual([]);
  });

  test('has one entry for an address, also when another host had it before, and for hosts without a block', () => {
    const peers = [peer('h0', '10.9.0.2'), peer('h2', '10.9.0.2'), peer('h9', '10.9.0.9')];
    const always = { ...network, encap: 'always' as const };
    const state = routed.shared([
      view({ network: always, peers: new Map(peers.map((one) => [one.id, one])) }),
    ]);
    expect(state.fdb.map((entry) => entry.table === 'self' && entry.vtep)).toEqual(['10.9.0.2', '10.9.0.9']);
    expect(state.neighbours).toHaveLength(2);
    expect(state.routes).toHaveLength(2);
  });

  test('is not there when nothing may go through it', () => {
    for (const state of [shared('never'), shared()]) {
      expect({ ...state, shortcuts: [] }).toEqual(emptyState);
    }
  });

  test('is a next hop that the kernel takes, whatever the families', () => {
    const hop = (underlay: string, destination: string) => {
      const state = view({ underlay: { ...view().underlay, address: 'fd09::1' } }).underlay;
      return tunnelRoute(destination, peer('h2', underlay), state).via;
    };
    expect(hop('10.9.0.2', '10.77.0.64/26')).toBe('10.9.0.2');
    expect(hop('10.9.0.2', 'fd77::40/122')).toBe('fe80::25d:a09:2');
    // An address of the underlay would be looked for on the underlay's link.
    expect(hop('fd09::2', '10.77.0.64/26')).toBe('fe80::25d:60fb:c1b1');
    expect(hop('fd09::2', 'fd77::40/122')).toBe('fe80::25d:60fb:c1b1');
  });
});

test('gives a container what is always left, and its link what it was made with', () => {
  const encap = (how: Encap) => view({ network: { ...network, encap: how } });
  const mtuOf = (of: NetworkView, mtu?: number) =>
    routed.endpoint(of, { ...local, ...(mtu && { mtu }) }).links[0]?.mtu;
  expect([mtuOf(encap('auto')), mtuOf(encap('never')), mtuOf(encap('always'))]).toEqual([1500, 1500, 1450]);
  expect(mtuOf(encap('auto'), 9000)).toBe(9000);
});

test('probes from an address of the subnet that no container has', () => {
  expect(probeSource('10.77.0.0/16')).toBe('10.77.0.0');
  expect(probeSource('fd77::/64')).toBe('fd77::');
  expect(probeSource('10.77.0.6/31')).toBeUndefined();
  expect(routes({ network: { ...network, encap: 'always' } })).not.toContainEqual(
    expect.objectContaining({ destination: '10.77.0.0/32' }),
  );
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
