/** What every namespace does with changes: part of the kernel's suite. */
import { describe, expect, test } from 'vitest';
import { WeftError } from '../../src/errors.ts';
import { diff } from '../../src/kernel/diff.ts';
import type { Kernel, Namespace } from '../../src/kernel/kernel.ts';
import { type Change, emptyState, type NamespaceState } from '../../src/kernel/state.ts';
import { port, remoteMac, routed, segment, tunnel, veth, vxlan } from './states.ts';

export async function settle(namespace: Namespace, desired: NamespaceState): Promise<void> {
  await namespace.apply(diff(await namespace.read(), desired));
}

/** What is still to be done, right after everything was. */
export async function leftAfter(namespace: Namespace, desired: NamespaceState): Promise<Change[]> {
  await settle(namespace, desired);
  return diff(await namespace.read(), desired);
}

async function failuresOf(applying: Promise<void>): Promise<unknown[]> {
  const error = await applying.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AggregateError);
  return error instanceof AggregateError ? error.errors : [];
}

/** @param current the kernel of the test that runs, a new one each */
export function namespaceSuite(current: () => Kernel): void {
  describe('a state, once applied', () => {
    test('is read back as it was asked for: routed', async () => {
      expect(await leftAfter(current().host, routed)).toEqual([]);
    });

    test('is read back as it was asked for: a tunnel', async () => {
      expect(await leftAfter(current().host, tunnel)).toEqual([]);
    });

    test('is read back as it was asked for: a segment of its own', async () => {
      const own = await current().namespace('weft-4097');
      expect(await leftAfter(own, segment)).toEqual([]);
    });

    test('can be applied again as if for the first time', async () => {
      await current().host.apply(diff(emptyState, routed));
      await current().host.apply(diff(emptyState, routed));
      expect(diff(await current().host.read(), routed)).toEqual([]);
      const own = await current().namespace('weft-4097');
      await own.apply(diff(emptyState, segment));
      await own.apply(diff(emptyState, segment));
      expect(diff(await own.read(), segment)).toEqual([]);
    });

    test('leaves nothing when it is undone, twice', async () => {
      await settle(current().host, routed);
      const undo = diff(await current().host.read(), emptyState);
      await current().host.apply(undo);
      await current().host.apply(undo);
      expect(await current().host.read()).toEqual(emptyState);
      expect(await current().mainRoutes()).toSatisfy((routes: { own: boolean }[]) =>
        routes.every(({ own }) => !own),
      );
    });

    test('holds no container end: that is Docker’s', async () => {
      await settle(current().host, routed);
      await settle(await current().namespace('weft-4097'), segment);
      expect((await current().host.read()).links.map(({ name }) => name)).toEqual([veth.name]);
    });
  });

  const replacements: Record<string, [NamespaceState, Partial<NamespaceState>]> = {
    'properties of a veth': [
      routed,
      { links: [{ ...veth, mtu: 1400, mac: 'ee:ee:ee:ee:ee:ef', strictSource: false }] },
    ],
    'a link set down': [{ ...emptyState, links: [veth] }, { links: [{ ...veth, up: false }] }],
    'the scope of an address': [
      {
        ...emptyState,
        links: [veth],
        addresses: [{ link: veth.name, address: '10.1.1.1/32', scope: 'global' }],
      },
      { addresses: [{ link: veth.name, address: '10.1.1.1/32', scope: 'link' }] },
    ],
    'the next hop of a route': [
      routed,
      { routes: [{ destination: '10.77.0.64/26', type: 'unicast', via: '10.9.0.9' }] },
    ],
    'the MTU of a route': [
      routed,
      { routes: [{ destination: '10.77.0.64/26', type: 'unicast', via: '10.9.0.2', mtu: 1400 }] },
    ],
    'a tunnel’s filter of sources, and a route by it': [
      tunnel,
      {
        links: tunnel.links.map((link) => (link.kind === 'vxlan' ? { ...link, looseSource: false } : link)),
        routes: [{ destination: '10.77.0.192/26', type: 'unicast', via: '10.9.0.2' }],
      },
    ],
    'a dead host’s routes': [
      routed,
      { routes: routed.routes.map(({ destination }) => ({ destination, type: 'unreachable' })) },
    ],
    'routes brought back to life': [
      {
        ...emptyState,
        routes: routed.routes.map(({ destination }) => ({ destination, type: 'unreachable' })),
      },
      routed,
    ],
    'a rule': [routed, { rules: [{ family: 4, priority: 1191, table: 254 }] }],
  };
  test.each(Object.entries(replacements))('replaces %s', async (_what, [before, after]) => {
    await settle(current().host, before);
    expect(await leftAfter(current().host, { ...before, ...after })).toEqual([]);
  });

  const moves: Record<string, Partial<NamespaceState>> = {
    'a VTEP': { fdb: [{ link: 'vx0', table: 'self', mac: remoteMac, vtep: '10.9.0.3' }] },
    'the VTEPs of all other MACs': {
      fdb: [{ link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep: '10.9.0.4' }],
    },
    'a neighbour': { neighbours: [{ link: 'br0', address: '10.78.0.7', mac: '02:57:0a:4e:00:08' }] },
    'the VNI, and with it the device': {
      links: [...segment.links.filter(({ kind }) => kind !== 'vxlan'), { ...vxlan, vni: 4098 }],
    },
    'the name of the device with that VNI': {
      links: [...segment.links.filter(({ kind }) => kind !== 'vxlan'), { ...vxlan, name: 'vx1' }],
      fdb: [],
    },
    'a port taken off the bridge': {
      links: segment.links
        .map((link) => (link.name === port.name ? { ...veth, ...port, master: 'br1' } : link))
        .concat({ kind: 'bridge', name: 'br1', mtu: 1400, mac: '02:5b:00:00:00:02', up: true }),
    },
    'the bridge itself': {
      links: segment.links.map((link) =>
        link.kind === 'bridge' ? { ...link, mtu: 1450, mac: '02:5b:00:00:00:09' } : link,
      ),
    },
    'neighbour suppression': {
      links: segment.links.map((link) =>
        link.kind === 'vxlan' ? { ...link, suppressNeighbours: false } : link,
      ),
    },
  };
  test.each(Object.entries(moves))('replaces %s', async (_what, after) => {
    const own = await current().namespace('weft-4097');
    await settle(own, segment);
    expect(await leftAfter(own, { ...segment, ...after })).toEqual([]);
  });

  test('has the links that were made there, and no others', async () => {
    const own = await current().namespace('weft-4097');
    await settle(current().host, routed);
    const spaces = [current().host, own];
    expect(await Promise.all(spaces.map((space) => space.hasLink(veth.name)))).toEqual([true, false]);
    await settle(current().host, emptyState);
    expect(await current().host.hasLink(veth.name)).toBe(false);
  });

  describe('a change that fails', () => {
    test('is named, and stops no other, when it makes no sense', async () => {
      const failures = await failuresOf(
        current().host.apply([
          { do: 'put', kind: 'route', object: { destination: '10.77.0.5/16', type: 'unreachable' } },
          { do: 'put', kind: 'route', object: { destination: '10.77.0.0/16', type: 'unreachable' } },
        ]),
      );
      expect(failures).toEqual([
        expect.objectContaining({ message: expect.stringMatching(/10.77.0.5\/16/) }),
      ]);
      expect((await current().host.read()).routes).toHaveLength(1);
    });

    const absent = { link: 'weftabsent', address: '10.1.1.1/32', scope: 'link' } as const;

    test('does not keep those after it from being done', async () => {
      const changes: Change[] = [
        { do: 'put', kind: 'address', object: absent },
        ...diff(emptyState, { ...emptyState, links: [veth] }),
      ];
      await failuresOf(current().host.apply(changes));
      expect((await current().host.read()).links).toHaveLength(1);
    });

    test.each<[string, RegExp, Change]>([
      ['an address', /address 10.1.1.1\/32 of weftabsent/, { do: 'put', kind: 'address', object: absent }],
      [
        'a next hop that nothing leads to',
        /route 10.77.0.64\/26 via 192.0.2.1/,
        {
          do: 'put',
          kind: 'route',
          object: { destination: '10.77.0.64/26', type: 'unicast', via: '192.0.2.1' },
        },
      ],
      [
        'a port of no bridge',
        /veth weft0123456789h of bridge br9/,
        { do: 'put', kind: 'link', object: { ...veth, master: 'br9' } },
      ],
      [
        'a name that another link has',
        /veth weft0123456789h/,
        {
          do: 'put',
          kind: 'link',
          object: { ...veth, peer: { ...veth.peer, name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500 } },
        },
      ],
    ])('is named: %s', async (_what, sentence, change) => {
      const failures = await failuresOf(current().host.apply([change]));
      expect(failures).toEqual([expect.any(WeftError)]);
      expect(failures).toEqual([expect.objectContaining({ code: 'kernel' })]);
      expect(failures).toEqual([expect.objectContaining({ message: expect.stringMatching(sentence) })]);
    });

    test('is none when it deletes what is not there', async () => {
      const everything = diff(routed, emptyState).concat(diff(segment, emptyState));
      await current().host.apply(everything);
      await current().host.apply([
        { do: 'delete', kind: 'address', object: absent },
        { do: 'delete', kind: 'route', object: { destination: '10.200.0.0/16', type: 'unicast' } },
      ]);
      expect(await current().host.read()).toEqual(emptyState);
    });
  });
}
