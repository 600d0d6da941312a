/** What every fabric owes, whatever it does with packets. */
import { describe, expect, test } from 'vitest';
import { containerMtu, type NetworkView } from '../../../src/fabric/fabric.ts';
import { defaultFabric, fabrics } from '../../../src/fabric/registry.ts';
import { diff } from '../../../src/kernel/diff.ts';
import { emptyState, type NamespaceState } from '../../../src/kernel/state.ts';
import { contains, parseAddress, parsePrefix } from '../../../src/model/address.ts';
import { containerEnd, hostEnd } from '../../../src/model/names.ts';
import { fabricNames } from '../../../src/model/options.ts';
import { viewOf } from './views.ts';

const objects = (state: NamespaceState) => Object.values(state).flat();

const networks = [
  { subnets: 'IPv4', families: [4] },
  { subnets: 'IPv6', families: [6] },
  { subnets: 'both', families: [4, 6] },
] as const;
const underlays = ['IPv4', 'IPv6'] as const;
const cases = [...fabrics.values()].flatMap((fabric) =>
  networks.flatMap(({ subnets, families }) =>
    underlays.map((underlay) => ({ fabric, name: fabric.name, subnets, families, underlay })),
  ),
);

describe.each(cases)(
  'fabric $name, subnets $subnets, underlay $underlay',
  ({ fabric, families, underlay }) => {
    const view = (changes: Partial<NetworkView> = {}): NetworkView => ({
      ...viewOf(families, underlay),
      ...changes,
    });
    const [local] = view().local;
    if (local === undefined) throw new Error('the view has an endpoint');

    test('is the same state for the same view, and settles on it', () => {
      expect(fabric.desired(view())).toEqual(fabric.desired(view()));
      expect(diff(fabric.desired(view()), fabric.desired(view()))).toEqual([]);
    });

    test('reaches every remote container through its host, and no other', () => {
      const { routes, fdb } = fabric.desired(view());
      const hops = new Set([
        ...routes.flatMap(({ via }) => via ?? []),
        ...fdb.flatMap((entry) => (entry.table === 'self' ? entry.vtep : [])),
      ]);
      const peers = [...view().peers.values()];
      for (const { address, linkLocal = '' } of peers)
        expect(hops.has(address) || hops.has(linkLocal)).toBe(true);
      const known = peers.flatMap(({ address, linkLocal }) => [address, linkLocal]);
      expect([...hops].filter((hop) => !known.includes(hop))).toEqual([]);
    });

    test('leaves out nothing of a remote container, whatever its family', () => {
      const text = JSON.stringify(fabric.desired(view()));
      const missing = view().remote.flatMap(({ addresses }) =>
        addresses.filter((address) => !isReached(address)),
      );
      expect(missing).toEqual([]);

      function isReached(address: string): boolean {
        const block = view().claims.find(({ cidr }) => contains(parsePrefix(cidr), parseAddress(address)));
        return (
          text.includes(`"${address}"`) || text.includes(`{"destination":"${block?.cidr}","type":"unicast"`)
        );
      }
    });

    test('desires for an endpoint a part of what it desires for the network', () => {
      const whole = objects(fabric.desired(view()));
      const part = objects(fabric.endpoint(view(), local));
      expect(part.length).toBeGreaterThan(0);
      for (const object of part) expect(whole).toContainEqual(object);
    });

    test('gives Docker a link of the endpoint, with a name that the kernel takes', () => {
      const [link] = fabric.endpoint(view(), local).links;
      expect(link).toMatchObject({ kind: 'veth', name: hostEnd(local.id) });
      expect(link).toMatchObject({ peer: { name: containerEnd(local.id), mac: local.mac } });
      expect(containerEnd(local.id).length).toBeLessThanOrEqual(15);
    });

    test('follows the uplink, and the user who asks for less', () => {
      const { network, underlay: uplink } = view();
      const overhead = fabric.overhead(underlay === 'IPv4' ? 4 : 6, undefined);
      expect(containerMtu(fabric, network, uplink)).toBe(1500 - overhead);
      expect(containerMtu(fabric, network, { ...uplink, mtu: 9000 })).toBe(9000 - overhead);
      expect(containerMtu(fabric, { ...network, mtu: 1400 }, uplink)).toBe(1400);
    });

    test('lets go of a container that is gone', () => {
      const before = fabric.desired(view());
      const after = fabric.desired(view({ local: [], remote: [] }));
      const text = JSON.stringify(after);
      expect(text).not.toContain(hostEnd(local.id));
      for (const { mac } of view().remote) expect(text).not.toContain(mac);
      expect(diff(before, after).every((change) => change.do === 'delete')).toBe(true);
    });

    test('survives a host that vanished while others still hold what was its', () => {
      const state = fabric.desired(view({ peers: new Map() }));
      const text = JSON.stringify(state);
      for (const { address, linkLocal } of view().peers.values()) {
        expect(text).not.toContain(`"${address}"`);
        expect(text).not.toContain(`"${linkLocal}"`);
      }
      expect(diff(state, fabric.desired(view())).length).toBeGreaterThan(0);
    });

    test('desires nothing twice', () => {
      expect(() => diff(emptyState, fabric.desired(view()))).not.toThrow();
    });
  },
);

test('the names that options know are the fabrics that there are', () => {
  expect([...fabrics.keys()]).toEqual([...fabricNames]);
  expect(fabrics.has(defaultFabric)).toBe(true);
});
