/** What every fabric owes, whatever it does with packets. */
import { describe, expect, test } from 'vitest';
import { containerMtu } from '../../../src/fabric/fabric.ts';
import { defaultFabric, fabrics } from '../../../src/fabric/registry.ts';
import { diff } from '../../../src/kernel/diff.ts';
import { emptyState, type NamespaceState } from '../../../src/kernel/state.ts';
import { containerEnd, hostEnd } from '../../../src/model/names.ts';
import { fabricNames } from '../../../src/model/options.ts';
import { endpoint, local, view } from './views.ts';

const objects = (state: NamespaceState) => Object.values(state).flat();

describe.each([...fabrics.values()])('fabric $name', (fabric) => {
  test('is the same state for the same view, and settles on it', () => {
    expect(fabric.desired(view())).toEqual(fabric.desired(view()));
    expect(diff(fabric.desired(view()), fabric.desired(view()))).toEqual([]);
  });

  test('reaches every remote container through its host, and no other', () => {
    const text = JSON.stringify(fabric.desired(view()));
    expect(text).toContain('10.9.0.2');
    expect(text).toContain('10.9.0.3');
    expect(text).not.toContain('10.9.0.1"},"via');
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
    const { network, underlay } = view();
    expect(containerMtu(fabric, network, underlay)).toBe(1500 - fabric.overhead(4, undefined));
    expect(containerMtu(fabric, network, { ...underlay, mtu: 9000 })).toBe(
      9000 - fabric.overhead(4, undefined),
    );
    expect(containerMtu(fabric, { ...network, mtu: 1400 }, underlay)).toBe(1400);
  });

  test('lets go of a container that is gone', () => {
    const before = fabric.desired(view());
    const after = fabric.desired(view({ local: [], remote: [] }));
    const text = JSON.stringify(after);
    expect(text).not.toContain(hostEnd(local.id));
    expect(text).not.toContain(endpoint('h2', '10.77.0.66').mac);
    expect(diff(before, after).every((change) => change.do === 'delete')).toBe(true);
  });

  test('survives a host that vanished while others still hold what was its', () => {
    const state = fabric.desired(view({ peers: new Map() }));
    expect(JSON.stringify(state)).not.toContain('10.9.0.2');
    expect(diff(state, fabric.desired(view())).length).toBeGreaterThan(0);
  });

  test('desires nothing twice', () => {
    expect(() => diff(emptyState, fabric.desired(view()))).not.toThrow();
  });
});

test('the names that options know are the fabrics that there are', () => {
  expect([...fabrics.keys()]).toEqual([...fabricNames]);
  expect(fabrics.has(defaultFabric)).toBe(true);
});
