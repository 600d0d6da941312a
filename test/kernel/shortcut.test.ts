/** Which way packets go between containers, and that none gets by the shortcut where it must not get to. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fabric } from '../../src/fabric/fabric.ts';
import { routed } from '../../src/fabric/routed.ts';
import { sendersOf } from '../../src/fabric/senders.ts';
import { vxlan } from '../../src/fabric/vxlan.ts';
import { diff } from '../../src/kernel/diff.ts';
import { openKernel } from '../../src/kernel/linux.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { namespaceName } from '../../src/model/names.ts';
import type { Encap } from '../../src/model/records.ts';
import { endpoint } from '../unit/fabric/views.ts';
import type { Space } from './host.ts';
import { ask, endServers, serve, tcp, udp } from './servers.ts';
import {
  type Member,
  type ThreeHosts,
  threeHosts,
  type underlays,
  vni,
  Wiring,
  waiting,
} from './three-hosts.ts';

let hosts: ThreeHosts;
let wiring: Wiring;
let one: Member;
let two: Member;
let client: Space;
let server: Space;
afterEach(async () => {
  await endServers();
  wiring.remove();
  await hosts.close();
});

async function wire(fabric: Fabric, encap?: Encap, underlay: keyof typeof underlays = 'IPv4'): Promise<void> {
  hosts = await threeHosts(underlay);
  [one, two] = hosts.members;
  wiring = new Wiring(fabric, hosts.members, encap && { encap });
  await wiring.guard();
  const [first, second] = await wiring.wireAll();
  if (first === undefined || second === undefined) throw new Error('each host has a container');
  [client, server] = [first, second];
  for (const member of [one, two]) {
    nft(
      member,
      `-f - <<'.'
      table ${fabric.filter} passed {
        counter containers { }
        chain passed {
          type filter hook prerouting priority -500
          ip saddr 10.77.0.0/16 ip daddr 10.77.0.0/16 meta l4proto { 6, 17 } counter name containers
          ip6 saddr fd77::/64 ip6 daddr fd77::/64 meta l4proto { 6, 17 } counter name containers
        }
      }
.`,
    );
  }
  for (const protocol of [tcp, udp]) await serve(server, protocol, 80, 'two');
  await vi.waitUntil(() => asks(udp, two.endpoint.addresses[0]) !== '', waiting);
}

/** Where the network is. */
function nft({ host }: Member, command: string): string {
  const own = `${host.runDir}/netns/${namespaceName(vni)}`;
  return host.run(`${wiring.fabric.isolated ? `nsenter --net=${own} ` : ''}nft ${command}`);
}

function asks(protocol: number, address = '', of = client): string {
  return ask(of, protocol, address, 80);
}

/** Packets between containers that took the ordinary way through the two hosts while something was done. */
function passed(meanwhile: () => void): number {
  const count = (member: Member) => {
    const text = nft(member, `list counter ${wiring.fabric.filter} passed containers`);
    return Number(/packets (\d+)/.exec(text)?.[1]);
  };
  const before = count(one) + count(two);
  meanwhile();
  return count(one) + count(two) - before;
}

/** Datagrams that came to the server while something was done. */
function heard(meanwhile: () => void): number {
  const count = () => {
    const [names = '', values = ''] = server.run('grep ^Udp: /proc/net/snmp').split('\n');
    return Number(values.split(' ')[names.split(' ').indexOf('InDatagrams')]);
  };
  const before = count();
  meanwhile();
  return count() - before;
}

describe.each<[string, Fabric, Encap?]>([
  ['routed', routed],
  ['routed, encapsulated', routed, 'always'],
  ['vxlan', vxlan],
])('on a network that is %s', (_, fabric, encap) => {
  beforeEach(() => wire(fabric, encap));

  test.each([
    ['TCP', tcp],
    ['UDP', udp],
  ])('packets take it in both directions and families: %s', (_, protocol) => {
    for (const [family, address] of two.endpoint.addresses.entries()) {
      const answer = `two hears ${one.endpoint.addresses[family]}`;
      expect(passed(() => expect(asks(protocol, address)).toBe(answer))).toBe(0);
    }
  });

  test('they take it from one container of a host to another', async () => {
    const neighbour = { ...one, endpoint: { ...endpoint('h9', '10.77.0.6', 'fd77::6'), slot: 2 } };
    const view = { ...(await wiring.viewOf(one)), local: [one.endpoint, neighbour.endpoint] };
    await wiring.bringInLine(one, view);
    const { filters } = await wiring.namespaceOf(one);
    await filters[wiring.fabric.filter].put(sendersOf(neighbour.endpoint));
    const space = wiring.contain(neighbour, view);
    await serve(space, tcp, 80, 'neighbour');
    for (const [family, address] of neighbour.endpoint.addresses.entries()) {
      const answer = `neighbour hears ${one.endpoint.addresses[family]}`;
      await vi.waitUntil(() => asks(tcp, address) === answer, waiting);
      expect(passed(() => expect(asks(tcp, address)).toBe(answer))).toBe(0);
    }
  });

  test('where it is switched off, all go the ordinary way', async () => {
    for (const member of [one, two]) {
      await wiring.bringInLine(member, { ...(await wiring.viewOf(member)), shortcut: false });
      expect(await (await wiring.namespaceOf(member)).read()).toMatchObject({
        shortcuts: [],
        ports: [],
        prefixes: [],
      });
    }
    for (const address of two.endpoint.addresses) {
      expect(passed(() => expect(asks(tcp, address)).toContain('two hears'))).toBeGreaterThan(0);
    }
  });
});

describe.each(['IPv4', 'IPv6'] as const)('on hosts of a segment that know each other by %s', (underlay) => {
  beforeEach(() => wire(vxlan, undefined, underlay));

  /** Packets of VXLAN that the packet filter of the host saw while something was done. */
  function seen(meanwhile: () => void): number {
    const count = () => Number(/packets (\d+)/.exec(two.host.run('nft list counter inet seen vxlan'))?.[1]);
    const before = count();
    meanwhile();
    return count() - before;
  }

  test('datagrams have VXLAN taken off at the uplink; all else, and what is not known, at the device', async () => {
    two.host.run(`nft -f - <<'.'
    table inet seen {
      counter vxlan { }
      chain seen { type filter hook prerouting priority -500; udp dport 4789 counter name vxlan; }
    }
.`);
    for (const [family, address] of two.endpoint.addresses.entries()) {
      const answer = `two hears ${one.endpoint.addresses[family]}`;
      const few = seen(() => expect(asks(udp, address)).toBe(answer));
      // The kernel is told of no family inside but that of the outside.
      expect(few === 0).toBe(family === (underlay === 'IPv4' ? 0 : 1));
      expect(seen(() => expect(asks(tcp, address)).toBe(answer))).toBeGreaterThan(0);
    }
    const view = await wiring.viewOf(two);
    await wiring.bringInLine(two, { ...view, remote: view.remote.filter(({ host }) => host !== one.id) });
    const [address = ''] = two.endpoint.addresses;
    expect(heard(() => asks(udp, address))).toBe(1);
  });
});

describe('on hosts', () => {
  beforeEach(() => wire(routed));

  test('a weft that comes back finds it as it left it', async () => {
    const { runDir, file } = one.host;
    const again = await openKernel({ runDir, hostNamespace: file });
    expect(await again.host.read()).toEqual(await one.host.kernel.host.read());
    expect((await again.host.read()).ports).not.toEqual([]);
    again.close();
  });

  test('others’ filters decide before, and are left alone', async () => {
    const { host } = two;
    const theirs = () => host.run('tc -s filter show dev eth0 ingress prio 1');
    host.run('tc filter add dev eth0 ingress prio 1 protocol ip u32 match u32 0 0 flowid 1:1');
    const answer = `two hears ${one.endpoint.addresses[0]}`;
    expect(passed(() => expect(asks(udp, two.endpoint.addresses[0])).toBe(answer))).toBeGreaterThan(0);
    await host.kernel.host.apply(diff(await host.kernel.host.read(), emptyState));
    expect(theirs()).toContain('u32');
  });

  test('nobody is heard as another', () => {
    const [own, address] = [one.endpoint.addresses[0], two.endpoint.addresses[0]];
    const asForeign = (source: string) => {
      client.run(`ip addr add ${source}/32 dev eth0
      ip route replace 10.77.0.0/16 via 169.254.1.1 dev eth0 src ${source}`);
      const count = heard(() => asks(udp, address));
      client.run(`ip route replace 10.77.0.0/16 via 169.254.1.1 dev eth0 src ${own}`);
      return count;
    };
    for (const source of ['10.77.0.133', '10.77.0.6', '203.0.113.9']) expect(asForeign(source)).toBe(0);
    client.run('ip link set eth0 address 02:66:66:66:66:66');
    expect(heard(() => asks(udp, address))).toBe(0);
    client.run(`ip link set eth0 address ${one.endpoint.mac}`);
    expect(heard(() => asks(udp, address))).toBe(1);
  });

  test('a sender of too much is told so', async () => {
    const view = await wiring.viewOf(one);
    const peers = Array.from(view.peers, ([id, peer]) => [id, { ...peer, mtu: 1400 }] as const);
    await wiring.bringInLine(one, { ...view, peers: new Map(peers) });
    const [address] = two.endpoint.addresses;
    await vi.waitUntil(() => {
      client.run(`head -c 1452 /dev/zero | timeout 2 ${process.execPath} -e "
      const bytes = require('fs').readFileSync(0); const s = require('dgram').createSocket('udp4');
      s.send(bytes, 80, '${address}', () => s.close());"`);
      return client.run(`ip route get ${address}`).includes('mtu 1400');
    }, waiting);
  });

  test('who is led to a container by a port of a host is answered by that port', async () => {
    const { host } = one;
    const [address] = two.endpoint.addresses;
    host.run(`nft -f - <<'.'
    table ip theirs {
      chain in { type nat hook prerouting priority -100; ip daddr 10.9.0.1 tcp dport 8080 dnat to ${address}:80; }
    }
.`);
    for (const space of [client, server]) space.run('ip route add 10.9.0.1 via 169.254.1.1 dev eth0');
    expect(ask(client, tcp, '10.9.0.1', 8080)).toBe('two hears 10.9.0.1');
  });

  test('is there again when somebody has taken it away', async () => {
    for (const member of [one, two]) {
      member.host.run('tc qdisc del dev eth0 clsact');
      expect(await wiring.bringInLine(member, await wiring.viewOf(member))).toBe(1);
      expect(await wiring.bringInLine(member, await wiring.viewOf(member))).toBe(0);
    }
    const answer = `two hears ${one.endpoint.addresses[0]}`;
    expect(passed(() => expect(asks(udp, two.endpoint.addresses[0])).toBe(answer))).toBe(0);
  });
});
