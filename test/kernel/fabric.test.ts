/** What every fabric owes, with real kernels and packets of both families, over either underlay. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerMtu } from '../../src/fabric/fabric.ts';
import { fabrics } from '../../src/fabric/registry.ts';
import { diff } from '../../src/kernel/diff.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { familyOf } from '../../src/model/address.ts';
import { namespaceName } from '../../src/model/names.ts';
import {
  allReachAll,
  type Member,
  noneReaches,
  type ThreeHosts,
  threeHosts,
  vni,
  Wiring,
} from './three-hosts.ts';

const cases = [...fabrics.values()].flatMap((fabric) =>
  (['IPv4', 'IPv6'] as const).map((underlay) => ({ fabric, name: fabric.name, underlay })),
);

describe.each(cases)('fabric $name over an $underlay underlay', ({ fabric, underlay }) => {
  let hosts: ThreeHosts;
  let wiring: Wiring;
  let members: readonly Member[];
  let one: Member;
  let two: Member;
  let three: Member;
  beforeEach(async () => {
    hosts = await threeHosts(underlay);
    members = hosts.members;
    [one, two, three] = hosts.members;
    wiring = new Wiring(fabric, members);
  });
  afterEach(async () => {
    wiring.remove();
    await hosts.close();
  });

  test('connects the containers of all hosts, and has nothing to do then', async () => {
    await allReachAll(await wiring.wireAll(), members);
    for (const member of members) {
      expect(await wiring.bringInLine(member, await wiring.viewOf(member))).toBe(0);
    }
  });

  test('carries packets as large as the containers’ MTU', async () => {
    const containers = await wiring.wireAll();
    const [first] = containers;
    await allReachAll(containers.slice(0, 1), [two]);
    const mtu = containerMtu(fabric, wiring.network, (await wiring.viewOf(one)).underlay);
    for (const address of two.endpoint.addresses) {
      const payload = mtu - (familyOf(address) === 4 ? 28 : 48);
      const ping = `ping -c 1 -M do ${address}`;
      expect(first?.run(`${ping} -W 5 -s ${payload}`)).toContain(' 1 received');
      expect(first?.run(`${ping} -W 1 -s ${payload + 1} 2>&1 || true`)).toContain('too long');
    }
  });

  test('wires one endpoint alone as it would with all the rest', async () => {
    const containers = [];
    for (const member of members) {
      const view = await wiring.viewOf(member);
      await wiring.bringInLine(member, { ...view, local: [] });
      const namespace = await wiring.namespaceOf(member);
      await namespace.apply(diff(emptyState, fabric.endpoint(view, member.endpoint)));
      expect(diff(await namespace.read(), wiring.desired(view))).toEqual([]);
      containers.push(wiring.contain(member, view));
    }
    await allReachAll(containers, members);
  });

  test('goes on without a host that has vanished, and with it when it is back', async () => {
    const containers = await wiring.wireAll();
    const present = [one, two];
    await allReachAll(containers, members);
    for (const member of present) {
      expect(await wiring.bringInLine(member, await wiring.viewOf(member, present))).toBeGreaterThan(0);
      expect(await wiring.bringInLine(member, await wiring.viewOf(member, present))).toBe(0);
    }
    await allReachAll(containers.slice(0, 2), present);
    noneReaches(containers.slice(0, 1), three);
    for (const member of present) await wiring.bringInLine(member, await wiring.viewOf(member));
    await allReachAll(containers, members);
  });

  test('lets go of a container, and leaves the others their traffic', async () => {
    const containers = await wiring.wireAll();
    const first = containers.slice(0, 1);
    await allReachAll(first, members);
    await wiring.bringInLine(three, { ...(await wiring.viewOf(three)), local: [] });
    for (const member of [one, two]) {
      const view = await wiring.viewOf(member);
      const remote = view.remote.filter(({ host }) => host !== three.id);
      await wiring.bringInLine(member, { ...view, remote });
    }
    expect(containers[2]?.run('ip -o link')).not.toContain('eth0');
    noneReaches(first, three);
    await allReachAll(first, [one, two]);
  });

  test('leaves nothing when nothing is wanted', async () => {
    const containers = await wiring.wireAll();
    await allReachAll(containers, members);
    for (const member of members) {
      const namespace = await wiring.namespaceOf(member);
      await namespace.apply(diff(await namespace.read(), emptyState));
      expect(await namespace.read()).toEqual(emptyState);
      if (fabric.isolated) await member.host.kernel.removeNamespace(namespaceName(vni));
      const state = 'ip -o link; ip route show table all; ip -6 route show table all; ss -Hlun';
      expect(member.host.run(state)).not.toMatch(/: weft|dev weft|10\.77\.|fd77:|proto 119|:4789/);
    }
    for (const container of containers) expect(container.run('ip -o link')).not.toContain('eth0');
  });
});
