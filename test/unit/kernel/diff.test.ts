import { describe, expect, test } from 'vitest';
import { describe as inWords } from '../../../src/kernel/change.ts';
import { diff } from '../../../src/kernel/diff.ts';
import {
  type Bridge,
  emptyState,
  type NamespaceState,
  type Veth,
  type Vxlan,
} from '../../../src/kernel/state.ts';
import { routed, segment } from '../../kernel/states.ts';

/** `put route 10.0.0.0/8 via ...`, one a change. */
function steps(actual: Partial<NamespaceState>, desired: Partial<NamespaceState>): string[] {
  const changes = diff({ ...emptyState, ...actual }, { ...emptyState, ...desired });
  return changes.map((change) => `${change.do} ${inWords(change)}`);
}

const veth: Veth = {
  kind: 'veth',
  name: 'wefta',
  mtu: 1500,
  mac: 'ee:ee:ee:ee:ee:ee',
  up: true,
  strictSource: true,
};
const bridge: Bridge = { kind: 'bridge', name: 'br0', mtu: 1500, mac: '02:5b:00:00:00:01', up: true };
const vxlan: Vxlan = {
  kind: 'vxlan',
  name: 'vx0',
  mtu: 1500,
  mac: '02:5c:00:00:00:02',
  up: true,
  master: 'br0',
  vni: 5,
  local: '10.9.0.1',
  port: 4789,
  suppressNeighbours: true,
  looseSource: false,
};
const onVeth: Partial<NamespaceState> = {
  links: [veth],
  addresses: [{ link: 'wefta', address: '169.254.1.1/32', scope: 'link' }],
  routes: [{ destination: '10.77.0.5/32', type: 'unicast', link: 'wefta' }],
};
const onVxlan: Partial<NamespaceState> = {
  links: [bridge, vxlan],
  fdb: [
    { link: 'vx0', table: 'self', mac: '02:57:00:00:00:01', vtep: '10.9.0.2' },
    { link: 'vx0', table: 'master', mac: '02:57:00:00:00:01' },
  ],
  neighbours: [{ link: 'br0', address: '10.78.0.1', mac: '02:57:00:00:00:01' }],
};

describe('nothing is to be done', () => {
  test.each([routed, segment, emptyState])('where all is as it should be', (state) => {
    expect(diff(state, state)).toEqual([]);
  });

  test('about what is not told of an actual object, or is the kernel’s to say', () => {
    const { peer, ...seen } = { ...veth, peer: { name: 'weftc', mac: '02:57:00:00:00:01', mtu: 1500 } };
    expect(steps({ links: [seen] }, { links: [{ ...seen, peer }] })).toEqual([]);
    expect(
      steps(
        { routes: [{ destination: '10.0.0.0/8', type: 'unicast', link: 'eth0', via: '10.9.0.2' }] },
        { routes: [{ destination: '10.0.0.0/8', type: 'unicast', via: '10.9.0.2' }] },
      ),
    ).toEqual([]);
    expect(
      steps(
        { links: [veth], addresses: [{ link: 'wefta', address: 'fe80::1/128', scope: 'link' }] },
        { links: [veth], addresses: [{ link: 'wefta', address: 'fe80::1/128', scope: 'global' }] },
      ),
    ).toEqual([]);
  });
});

describe('the order', () => {
  test('leads from links to what is on them, and a route comes after what it leads to', () => {
    expect(diff(emptyState, { ...emptyState, ...onVeth }).map(({ kind }) => kind)).toEqual([
      'link',
      'address',
      'route',
    ]);
    expect(steps({}, { ...onVxlan, links: [vxlan, bridge] })).toEqual([
      'put bridge br0',
      'put vxlan vx0 of bridge br0',
      'put forwarding entry 02:57:00:00:00:01 to VTEP 10.9.0.2 on vx0',
      'put forwarding entry 02:57:00:00:00:01 behind vx0',
      'put neighbour 10.78.0.1 at 02:57:00:00:00:01 on br0',
    ]);
  });

  test('adds before it deletes, and deletes in reverse', () => {
    expect(
      steps(
        {
          ...onVeth,
          addresses: [
            ...(onVeth.addresses ?? []),
            { link: 'wefta', address: '10.1.1.1/32', scope: 'global' },
          ],
          routes: [{ destination: '10.77.0.6/32', type: 'unicast', link: 'wefta' }],
        },
        onVeth,
      ),
    ).toEqual([
      'put route 10.77.0.5/32 on wefta',
      'delete route 10.77.0.6/32 on wefta',
      'delete address 10.1.1.1/32 of wefta',
    ]);
  });

  test('takes a link away last, and nothing that goes with it', () => {
    const routes = [{ destination: '10.77.0.0/16', type: 'unreachable' } as const];
    expect(steps(onVeth, { routes })).toEqual(['put unreachable route 10.77.0.0/16', 'delete veth wefta']);
  });

  test('deletes first what stands in the way', () => {
    const successor: Vxlan = { ...vxlan, name: 'vx1' };
    expect(steps({ links: [bridge, vxlan] }, { links: [bridge, successor] })).toEqual([
      'delete vxlan vx0 of bridge br0',
      'put vxlan vx1 of bridge br0',
    ]);
  });
});

describe('what cannot be changed is made anew, with all that was on it', () => {
  const remade = [
    'delete vxlan vx0 of bridge br0',
    'put vxlan vx0 of bridge br0',
    'put forwarding entry 02:57:00:00:00:01 to VTEP 10.9.0.2 on vx0',
    'put forwarding entry 02:57:00:00:00:01 behind vx0',
  ];
  test.each<Partial<Vxlan>>([{ vni: 6 }, { local: '10.9.0.9' }, { port: 8472 }])('vxlan: %o', (change) => {
    expect(steps(onVxlan, { ...onVxlan, links: [bridge, { ...vxlan, ...change }] })).toEqual(remade);
  });

  test('a link that is of another kind', () => {
    expect(steps({ links: [{ ...bridge, name: 'wefta' }] }, { links: [veth] })).toEqual([
      'delete bridge wefta',
      'put veth wefta',
    ]);
  });

  test('a bridge, which its ports then join again', () => {
    expect(steps({ links: [{ ...veth, name: 'br0' }, vxlan] }, { links: [bridge, vxlan] })).toEqual([
      'delete veth br0',
      'put bridge br0',
      'put vxlan vx0 of bridge br0',
    ]);
  });

  test('the scope of an address', () => {
    const scoped = (scope: 'link' | 'global') => ({
      links: [veth],
      addresses: [{ link: 'wefta', address: '10.1.1.1/32', scope }],
    });
    expect(steps(scoped('global'), scoped('link'))).toEqual([
      'delete address 10.1.1.1/32 of wefta',
      'put address 10.1.1.1/32 of wefta',
    ]);
  });
});

describe('what can be changed is put', () => {
  test.each<[string, Partial<Veth>]>([
    ['MTU', { mtu: 1400 }],
    ['up', { up: false }],
    ['bridge', { master: 'br0' }],
    ['source check', { strictSource: false }],
  ])('%s of a link, alone', (_what, change) => {
    const changed = { ...veth, ...change };
    expect(diff({ ...emptyState, ...onVeth }, { ...emptyState, ...onVeth, links: [changed] })).toEqual([
      { do: 'put', kind: 'link', object: changed },
    ]);
  });

  test('a MAC, which costs the link its neighbours', () => {
    expect(steps(onVxlan, { ...onVxlan, links: [{ ...bridge, mac: '02:5b:00:00:00:02' }, vxlan] })).toEqual([
      'put bridge br0',
      'put neighbour 10.78.0.1 at 02:57:00:00:00:01 on br0',
    ]);
  });

  test('a bridge for another, which costs a port the MACs behind it', () => {
    const links = [bridge, { ...bridge, name: 'br1' }, { ...vxlan, master: 'br1' }];
    expect(
      steps(
        { ...onVxlan, links: [...(onVxlan.links ?? []), { ...bridge, name: 'br1' }] },
        { ...onVxlan, links },
      ),
    ).toEqual(['put vxlan vx0 of bridge br1', 'put forwarding entry 02:57:00:00:00:01 behind vx0']);
  });

  test.each<[string, Partial<NamespaceState>, Partial<NamespaceState>]>([
    [
      'put route 10.0.0.0/8 via 10.9.0.3',
      { routes: [{ destination: '10.0.0.0/8', type: 'unicast', link: 'eth0', via: '10.9.0.2' }] },
      { routes: [{ destination: '10.0.0.0/8', type: 'unicast', via: '10.9.0.3' }] },
    ],
    [
      'put unreachable route 10.0.0.0/8',
      { routes: [{ destination: '10.0.0.0/8', type: 'unicast', link: 'eth0', via: '10.9.0.2' }] },
      { routes: [{ destination: '10.0.0.0/8', type: 'unreachable' }] },
    ],
    [
      'put route 10.0.0.0/8 via 10.9.0.2 on eth1',
      { routes: [{ destination: '10.0.0.0/8', type: 'unicast', link: 'eth0', via: '10.9.0.2' }] },
      { routes: [{ destination: '10.0.0.0/8', type: 'unicast', link: 'eth1', via: '10.9.0.2' }] },
    ],
    [
      'put neighbour 10.78.0.1 at 02:00:00:00:00:02 on br0',
      { links: [bridge], neighbours: [{ link: 'br0', address: '10.78.0.1', mac: '02:00:00:00:00:01' }] },
      { links: [bridge], neighbours: [{ link: 'br0', address: '10.78.0.1', mac: '02:00:00:00:00:02' }] },
    ],
    [
      'put forwarding entry 02:00:00:00:00:01 to VTEP 10.9.0.3 on vx0',
      { links: [vxlan], fdb: [{ link: 'vx0', table: 'self', mac: '02:00:00:00:00:01', vtep: '10.9.0.2' }] },
      { links: [vxlan], fdb: [{ link: 'vx0', table: 'self', mac: '02:00:00:00:00:01', vtep: '10.9.0.3' }] },
    ],
  ])('%s', (step, actual, desired) => {
    expect(steps(actual, desired)).toEqual([step]);
  });

  test('one VTEP of many for the all-zero MAC, without touching the others', () => {
    const zero = (vtep: string) => ({ link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep }) as const;
    expect(
      steps(
        { links: [vxlan], fdb: [zero('10.9.0.2'), zero('10.9.0.3')] },
        { links: [vxlan], fdb: [zero('10.9.0.3'), zero('10.9.0.4')] },
      ),
    ).toEqual([
      'put forwarding entry 00:00:00:00:00:00 to VTEP 10.9.0.4 on vx0',
      'delete forwarding entry 00:00:00:00:00:00 to VTEP 10.9.0.2 on vx0',
    ]);
  });

  test('a rule, which is all key', () => {
    expect(
      steps(
        { rules: [{ family: 4, priority: 1, table: 2, from: '10.0.0.0/8' }] },
        { rules: [{ family: 4, priority: 1, table: 2, to: '10.0.0.0/8' }] },
      ),
    ).toEqual(['put rule 1 to 10.0.0.0/8 to table 2', 'delete rule 1 from 10.0.0.0/8 to table 2']);
  });
});

describe('shortcuts', () => {
  const entry = { link: 'wefta', network: '0123456789abcdef', mtu: 1500 };
  const port = { ...entry, destination: '10.77.0.5/32' };
  const prefix = { ...entry, destination: '10.77.0.64/26', link: 'eth0' };
  const shortcut = { link: 'wefta', side: 'out' } as const;
  const route = { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' } as const;

  test('are open last, and lead nowhere any more before anything else goes', () => {
    const all = { links: [veth], routes: [route], shortcuts: [shortcut], ports: [port], prefixes: [prefix] };
    expect(steps({}, all)).toEqual([
      'put veth wefta',
      'put route 10.77.0.64/26 via 10.9.0.2 on eth0',
      'put shortcut out at wefta',
      'put shortcut to port 10.77.0.5/32 by wefta',
      'put shortcut to prefix 10.77.0.64/26 by eth0',
    ]);
    expect(steps(all, { routes: [{ ...route, via: '10.9.0.3' }] })).toEqual([
      'delete shortcut to port 10.77.0.5/32 by wefta',
      'delete shortcut to prefix 10.77.0.64/26 by eth0',
      'put route 10.77.0.64/26 via 10.9.0.3 on eth0',
      'delete veth wefta',
    ]);
  });

  test('lead to a link that is made anew', () => {
    const before = { links: [{ ...vxlan, master: 'br0' }, bridge], prefixes: [{ ...prefix, link: 'vx0' }] };
    const after = { ...before, links: [{ ...vxlan, vni: 6 }, bridge] };
    expect(steps(before, after)).toContain('put shortcut to prefix 10.77.0.64/26 by vx0');
  });

  test('of another weft are replaced, and taken away where there are to be none', () => {
    const left = { links: [veth], shortcuts: [{ ...shortcut, isOutdated: true } as const] };
    expect(steps(left, { links: [veth], shortcuts: [shortcut] })).toEqual(['put shortcut out at wefta']);
    expect(steps(left, { links: [veth] })).toEqual(['delete shortcut out at wefta']);
  });
});

test('two owners of one object are a defect, and named', () => {
  const route = { destination: '10.0.0.0/8', type: 'unreachable' } as const;
  expect(() => diff(emptyState, { ...emptyState, routes: [route, { ...route }] })).toThrow(
    /unreachable route 10.0.0.0\/8 is wanted twice/,
  );
});
