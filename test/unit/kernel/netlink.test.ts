/**
 * The rtnetlink codec against what a kernel said: `fixtures/dumps.json` holds the message bodies of one
 * namespace, set up with iproute2, as they came out of each dump.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeAddress, putAddress } from '../../../src/kernel/netlink/address.ts';
import {
  decodeAttributes,
  encodeAttributes,
  nested,
  readMac,
  readText,
  text,
  u32,
} from '../../../src/kernel/netlink/attribute.ts';
import { readAddress, readPrefix, wireAddress, wirePrefix } from '../../../src/kernel/netlink/ip.ts';
import { createLink, decodeLink, deleteLink, finishLink } from '../../../src/kernel/netlink/link.ts';
import {
  decodeMessages,
  decodeVerdict,
  encodeMessage,
  explainVerdict,
} from '../../../src/kernel/netlink/message.ts';
import {
  decodeFdbEntry,
  decodeNeighbour,
  putFdbEntry,
  putNeighbour,
} from '../../../src/kernel/netlink/neighbour.ts';
import { asRoute, decodeRoute, putRoute } from '../../../src/kernel/netlink/route.ts';
import { decodeRule, putRule } from '../../../src/kernel/netlink/rule.ts';
import { ownTable, type Route, type Rule, type Veth } from '../../../src/kernel/state.ts';

const dumps: Record<string, string[]> = JSON.parse(
  readFileSync(new URL('fixtures/dumps.json', import.meta.url), 'utf8'),
);
const bodies = (kind: string) => (dumps[kind] ?? []).map((hex) => Buffer.from(hex, 'hex'));
const defined = <T>(item: T | undefined): T[] => (item === undefined ? [] : [item]);

const links = bodies('links').map(decodeLink);
const nameOf = (index: number) => links.find((link) => link.index === index)?.name;
const linkNamed = (name: string) => {
  const link = links.find((candidate) => candidate.name === name);
  if (link === undefined) throw new Error(`no ${name} among the captured links`);
  return link;
};

describe('a message of the kernel', () => {
  test('about a veth', () => {
    expect(linkNamed('weft0h')).toEqual({
      index: 10,
      name: 'weft0h',
      kind: 'veth',
      mtu: 1400,
      mac: 'ee:ee:ee:ee:ee:ee',
      up: true,
      masterIndex: 0,
      group: 0,
      reversePathFilter: 1,
      routesLoopback: false,
      addressGeneration: 1,
      suppressNeighbours: false,
    });
    expect(linkNamed('weft0c')).toMatchObject({ kind: 'veth', group: 119, reversePathFilter: 0 });
  });

  test('about a bridge and its vxlan port', () => {
    expect(linkNamed('br0')).toMatchObject({ kind: 'bridge', mac: '02:5b:00:00:00:01', masterIndex: 0 });
    expect(linkNamed('vx0')).toMatchObject({
      kind: 'vxlan',
      masterIndex: 20,
      vxlan: { vni: 4097, local: '10.9.0.1', port: 4789 },
      suppressNeighbours: true,
    });
    expect(linkNamed('vx6')).toMatchObject({
      up: false,
      vxlan: { vni: 4098, local: 'fd09::1', port: 8472 },
      suppressNeighbours: false,
    });
  });

  test('about addresses, and which of them someone set for good', () => {
    const addresses = bodies('addresses').flatMap((body) => defined(decodeAddress(body, nameOf)));
    expect(addresses.filter(({ permanent }) => permanent).map(({ object }) => object)).toEqual([
      { link: 'lo', address: '127.0.0.1/8', scope: 'link' },
      { link: 'weft0h', address: '169.254.1.1/32', scope: 'link' },
      { link: 'eth0', address: '10.9.0.1/24', scope: 'global' },
      { link: 'weft0h', address: 'fe80::1/128', scope: 'link' },
      { link: 'eth0', address: 'fd09::1/64', scope: 'global' },
    ]);
    expect(addresses).toContainEqual({
      object: { link: 'eth0', address: '10.9.1.1/24', scope: 'global' },
      permanent: false,
      temporary: false,
    });
  });

  test('about an IPv6 address to hide behind, and an IPv4 one that has the same bit set', () => {
    const isTemporary = (address: string) => {
      const { body } = putAddress({ link: 'eth0', address, scope: 'global' }, linkNamed('eth0').index);
      // The last attribute is the flags.
      body.writeUInt32LE(body.readUInt32LE(body.length - 4) | 1, body.length - 4);
      return decodeAddress(body, nameOf)?.temporary;
    };
    expect(isTemporary('fd09::1/64')).toBe(true);
    expect(isTemporary('10.9.1.1/24')).toBe(false);
  });

  test('about routes', () => {
    const ofWeft = bodies('routes')
      .flatMap((body) => defined(decodeRoute(body)))
      .filter(({ protocol }) => protocol === 119)
      .map((route) => asRoute(route, nameOf));
    expect(ofWeft).toEqual([
      { destination: '10.77.0.0/16', type: 'unreachable' },
      { destination: '10.77.0.5/32', type: 'unicast', link: 'weft0h' },
      { destination: '10.77.0.64/26', type: 'unicast', link: 'eth0', via: '10.9.0.2' },
      { destination: '10.77.0.192/26', type: 'unicast', link: 'eth0', via: 'fd09::2' },
      { destination: 'fd77::5/128', type: 'unicast', link: 'weft0h' },
      { destination: 'fd77::40/122', type: 'unicast', link: 'eth0', via: 'fd09::2' },
      { destination: 'fd77::/64', type: 'unreachable' },
    ]);
  });

  test('about a route with several next hops, of which the first is told', () => {
    const routes = bodies('routes').flatMap((body) => defined(decodeRoute(body)));
    expect(routes.find(({ destination }) => destination === '10.88.0.0/16')).toMatchObject({
      linkIndex: 30,
      via: '10.9.0.3',
    });
    expect(routes.find(({ destination }) => destination === '0.0.0.0/0')).toMatchObject({
      via: '10.9.0.254',
    });
  });

  test('about the way to an address', () => {
    expect(bodies('lookups').map(decodeRoute)).toMatchObject([
      { linkIndex: 30, via: '10.9.0.2', source: '10.9.0.1' },
      { linkIndex: 30, via: 'fd09::2', source: 'fd09::1' },
    ]);
  });

  test('about rules', () => {
    const rules = bodies('rules').flatMap((body) => defined(decodeRule(body)));
    expect(rules.filter(({ protocol }) => protocol === 119).map(({ rule }) => rule)).toEqual([
      { family: 4, priority: 1190, table: 1190, from: '10.77.0.0/16', inputLink: 'weft0h' },
      { family: 6, priority: 1190, table: 1190, to: 'fd77::/64' },
    ]);
    // One that looks nothing up is none that weft has words for.
    expect(rules.find(({ rule }) => rule.priority === 40000)).toBeUndefined();
  });

  test('about neighbours: only permanent ones', () => {
    expect(bodies('neighbours').flatMap((body) => defined(decodeNeighbour(body, nameOf)))).toEqual([
      { link: 'br0', address: '10.78.0.7', mac: '02:57:0a:4e:00:07' },
      { link: 'br0', address: 'fd78::7', mac: '02:57:0a:4e:00:07' },
    ]);
  });

  test('about forwarding entries: not the learned, not the ports’ own', () => {
    expect(bodies('fdb').flatMap((body) => defined(decodeFdbEntry(body, nameOf)))).toEqual([
      { link: 'vx0', table: 'master', mac: '02:57:0a:4e:00:07' },
      { link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep: '10.9.0.2' },
      { link: 'vx0', table: 'self', mac: '00:00:00:00:00:00', vtep: '10.9.0.3' },
      { link: 'vx0', table: 'self', mac: '02:57:0a:4e:00:07', vtep: '10.9.0.2' },
    ]);
  });
});

describe('what is sent', () => {
  const origin = { protocol: 119, metric: 119 };

  test.each<[string, Route, number]>([
    ['on a link', { destination: '10.77.0.5/32', type: 'unicast', link: 'weft0h' }, 10],
    ['by a next hop', { destination: 'fd77::40/122', type: 'unicast', link: 'eth0', via: 'fd09::2' }, 30],
    [
      'by a next hop of the other family',
      { destination: '10.77.0.0/26', type: 'unicast', link: 'eth0', via: 'fd09::2' },
      30,
    ],
    [
      'in weft’s own table',
      { destination: '10.9.0.2/32', type: 'unicast', link: 'eth0', via: '10.9.0.2', table: ownTable },
      30,
    ],
    ['nowhere', { destination: 'fd77::/64', type: 'unreachable' }, 0],
    ['everywhere', { destination: '0.0.0.0/0', type: 'unicast', link: 'eth0', via: '10.9.0.254' }, 30],
  ])('reads back as it was meant: a route %s', (_what, route, linkIndex) => {
    const decoded = decodeRoute(putRoute(route, linkIndex, origin).body);
    expect(decoded?.protocol).toBe(119);
    expect(decoded && asRoute(decoded, nameOf)).toEqual(route);
  });

  test.each<Rule>([
    { family: 4, priority: 1190, table: 1190, from: '10.77.0.0/16', inputLink: 'weft0h' },
    { family: 6, priority: 1, table: 254, to: 'fd77::/64' },
    { family: 4, priority: 7, table: 7 },
    { family: 4, priority: 1190, table: 1190, mark: 0x57_00_00 },
  ])('reads back as it was meant: a rule of priority $priority', (rule) => {
    expect(decodeRule(putRule(rule, 119).body)).toEqual({ rule, protocol: 119 });
  });

  test('reads back as it was meant: an address', () => {
    const object = { link: 'weft0h', address: '169.254.1.1/32', scope: 'link' } as const;
    expect(decodeAddress(putAddress(object, 10).body, nameOf)?.object).toEqual(object);
  });

  test('reads back as it was meant: a neighbour and a forwarding entry', () => {
    const neighbour = { link: 'br0', address: 'fd78::7', mac: '02:57:0a:4e:00:07' };
    expect(decodeNeighbour(putNeighbour(neighbour, 20).body, nameOf)).toEqual(neighbour);
    const entry = { link: 'vx0', table: 'self', mac: '02:57:0a:4e:00:07', vtep: '10.9.0.2' } as const;
    expect(decodeFdbEntry(putFdbEntry(entry, 21).body, nameOf)).toEqual(entry);
  });

  test('is, byte for byte, what a kernel took', () => {
    const route: Route = { destination: '10.77.0.0/16', type: 'unreachable' };
    expect(encodeMessage(putRoute(route, 0, origin), 10).toString('hex')).toBe(
      '2c000000180005050a0000000000000002100000fe77000700000000080001000a4d00000800060077000000',
    );
    expect(encodeMessage(deleteLink('weftx'), 9).toString('hex')).toBe(
      '2c000000110005000900000000000000000000000000000000000000000000000a0003007765667478000000',
    );
    const bridge = { kind: 'bridge', name: 'br0', mtu: 1500, mac: '02:5b:00:00:00:01', up: true } as const;
    expect(encodeMessage(createLink(bridge, {}), 8).toString('hex')).toBe(
      '60000000100005060800000000000000000000000000000000000000000000000800030062723000' +
        '0a000100025b00000001000008000400db050000240012800a00010062726964676500001400028005001700000000000600270000000000',
    );
  });

  test('is nothing for a link that is as it should be', () => {
    const desired: Veth = {
      kind: 'veth',
      name: 'weft0h',
      mtu: 1400,
      mac: 'ee:ee:ee:ee:ee:ee',
      up: true,
      strictSource: true,
    };
    expect(finishLink(linkNamed('weft0h'), desired, 0)).toEqual([]);
    expect(finishLink(linkNamed('weft0h'), { ...desired, up: false }, 0)).toHaveLength(1);
  });

  test('does not set a MAC again, which would cost the link its neighbours', () => {
    const IFLA_ADDRESS = 1;
    const desired = { kind: 'bridge', name: 'br0', mtu: 1400, mac: '02:5b:00:00:00:01', up: true } as const;
    const attributesSent = finishLink(linkNamed('br0'), desired, 0).flatMap(({ body }) => [
      ...decodeAttributes(body.subarray(16)).keys(),
    ]);
    expect(attributesSent).not.toContain(IFLA_ADDRESS);
    expect(attributesSent).not.toEqual([]);
  });
});

describe('the end of an answer', () => {
  const verdictOf = (hex: string) => decodeMessages(Buffer.from(hex, 'hex')).map(decodeVerdict);

  test('tells the kernel’s own words', () => {
    const [verdict] = verdictOf(
      '440000000200000307000000806000009bffffff34000000180005050700000000000000200001004e657874686f702068617320696e76616c6964206761746577617900',
    );
    expect(verdict).toEqual({ errno: 101, text: 'Nexthop has invalid gateway' });
    expect(explainVerdict(verdict ?? { errno: 0 })).toBe('Nexthop has invalid gateway (ENETUNREACH)');
  });

  test('tells success, and failures without words', () => {
    expect(verdictOf('240000000200000108000000806000000000000060000000100005060800000000000000')).toEqual([
      { errno: 0 },
    ]);
    const [gone] = verdictOf('24000000020000010900000080600000edffffff2c000000110005000900000000000000');
    expect(gone).toEqual({ errno: 19 });
    expect(explainVerdict(gone ?? { errno: 0 })).toBe('ENODEV');
  });

  test('is not among content', () => {
    const message = { type: 16, flags: 0, sequence: 1, body: Buffer.alloc(16) };
    expect(decodeVerdict(message)).toBeUndefined();
  });
});

describe('attributes', () => {
  test('nest, and are padded to four bytes', () => {
    const bytes = encodeAttributes([
      [1, text('abcd')],
      [2, [[3, u32(7)]]],
    ]);
    expect(bytes.length).toBe(12 + 12);
    const attributes = decodeAttributes(bytes);
    expect(readText(attributes.get(1) ?? Buffer.alloc(0))).toBe('abcd');
    expect(nested(attributes, 2).get(3)?.readUInt32LE()).toBe(7);
    expect(nested(attributes, 9).size).toBe(0);
  });

  test('that are cut short end the list', () => {
    expect(decodeAttributes(Buffer.from('0000', 'hex')).size).toBe(0);
    expect(decodeAttributes(Buffer.from('00000000', 'hex')).size).toBe(0);
  });

  test('carry addresses of both families as the same text', () => {
    for (const address of ['10.77.0.5', '0.0.0.0', 'fd77::5', '::', '2001:db8::1:0:0:1']) {
      expect(readAddress(wireAddress(address).bytes)).toBe(address);
    }
    const { family, bytes, length } = wirePrefix('fd77::/64');
    expect(readPrefix(family, bytes, length)).toBe('fd77::/64');
    expect(readPrefix(4, undefined, 0)).toBe('0.0.0.0/0');
    expect(readMac(Buffer.from('02570a4d0005', 'hex'))).toBe('02:57:0a:4d:00:05');
  });
});
