import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  automaticSubnet,
  nextSubnet,
  refuseOutside,
  refuseOverlap,
  refuseSpecial,
  subnetOfNetwork,
} from '../../../src/ipam/subnet.ts';
import { overlaps, parsePrefix, printPrefix } from '../../../src/model/address.ts';

const prefixes = (...cidrs: string[]) => cidrs.map(parsePrefix);
const on = (host: string, ...cidrs: string[]) => prefixes(...cidrs).map((prefix) => ({ prefix, host }));
const pool = (cidr: string, network?: string) => ({ prefix: parsePrefix(cidr), network });
const range = (cidr: string, length: number) => ({ range: parsePrefix(cidr), length });

describe('the next free subnet', () => {
  const next = (of: ReturnType<typeof range>, ...taken: string[]) => {
    const subnet = nextSubnet(of, prefixes(...taken));
    return subnet && printPrefix(subnet);
  };
  const cluster = range('10.160.0.0/11', 20);

  it.each<[string, string | undefined, ReturnType<typeof range>, ...string[]]>([
    ['the first of an empty range', '10.160.0.0/20', cluster],
    ['the next one', '10.160.16.0/20', cluster, '10.160.0.0/20'],
    ['in the first gap', '10.160.16.0/20', cluster, '10.160.32.0/20', '10.160.0.0/20'],
    ['beyond a larger one', '10.161.0.0/20', cluster, '10.160.0.0/16'],
    ['beyond a smaller one', '10.160.16.0/20', cluster, '10.160.4.0/24'],
    ['beyond nested ones', '10.161.0.0/20', cluster, '10.160.0.0/24', '10.160.0.0/16', '10.160.128.0/24'],
    ['not bothered by what is elsewhere', '10.160.0.0/20', cluster, '192.168.0.0/16', 'fd00::/8'],
    ['none: a route covers the range', undefined, cluster, '10.0.0.0/8'],
    ['none: all are taken', undefined, range('10.0.0.0/23', 24), '10.0.0.0/24', '10.0.1.0/24'],
    ['none: the rest is too small', undefined, range('10.0.0.0/24', 25), '10.0.0.0/25', '10.0.0.192/26'],
    ['the range itself', '10.0.0.0/24', range('10.0.0.0/24', 24)],
    ['an IPv6 one', 'fd77:1:2:1::/64', range('fd77:1:2::/48', 64), 'fd77:1:2::/64', '10.0.0.0/8'],
  ])('is %s', (_, expected, of, ...taken) => {
    expect(next(of, ...taken)).toBe(expected);
  });

  it('is the lowest that overlaps nothing', () => {
    const taken = fc
      .tuple(fc.nat({ max: 255 }), fc.integer({ min: 20, max: 28 }))
      .map(([third, length]) => parsePrefix(`10.0.${third - (third % 16)}.0/${Math.min(length, 28)}`));
    fc.assert(
      fc.property(fc.array(taken, { maxLength: 20 }), (others) => {
        const candidates = Array.from({ length: 64 }, (_, index) => parsePrefix(`10.0.${index * 4}.0/22`));
        const expected = candidates.find((candidate) => !others.some((other) => overlaps(candidate, other)));
        expect(nextSubnet(range('10.0.0.0/16', 22), others)).toEqual(expected);
      }),
    );
  });
});

describe('an automatic subnet', () => {
  it('avoids the pools of the cluster, the routes of hosts, and what is excluded', () => {
    const subnet = automaticSubnet(range('10.160.0.0/11', 20), [pool('10.160.0.0/20')], {
      routes: on('h3', '10.160.16.0/24'),
      excluded: prefixes('10.160.40.0/30'),
    });
    expect(printPrefix(subnet)).toBe('10.160.48.0/20');
  });

  it('names the range, what takes it up and the remedies when there is none', () => {
    const pools = [pool('10.0.0.0/25'), pool('192.168.0.0/24')];
    expect(() =>
      automaticSubnet(range('10.0.0.0/24', 25), pools, { routes: on('h3', '10.0.0.128/26'), excluded: [] }),
    ).toThrow(
      "no /25 subnet is left in the cluster's range 10.0.0.0/24: 1 subnets in use, 1 routes of hosts (10.0.0.128/26 on h3) and 0 excluded ranges take it up; remove networks that are not needed, set a larger range, or give the network a --subnet",
    );
  });
});

describe('the subnet of a network joined by its name', () => {
  const pools = [pool('10.1.0.0/24', 'blue'), pool('10.2.0.0/24'), pool('fd00::/64', 'blue')];
  const join = (family: 4 | 6, listed: string[], routes: string[] = [], network = 'blue') => {
    const subnet = subnetOfNetwork(
      { network, family, listed: prefixes(...listed) },
      pools,
      prefixes(...routes),
    );
    return subnet && printPrefix(subnet);
  };

  it.each<[string, string | undefined, ...Parameters<typeof join>]>([
    ['the first of the network', '10.2.0.0/24', 4, ['10.2.0.0/24', '10.1.0.0/24']],
    ['of the family asked for', 'fd00::/64', 6, ['10.2.0.0/24']],
    ['known by the pool alone, before there is a network', '10.1.0.0/24', 4, []],
    ['one that is still in use', '10.1.0.0/24', 4, ['10.9.0.0/24']],
    ['none when the network has none', undefined, 4, [], [], 'green'],
  ])('is %s', (_, expected, ...question) => {
    expect(join(...question)).toBe(expected);
  });

  it('is refused where this host routes it elsewhere', () => {
    expect(() => join(4, [], ['10.0.0.0/8'])).toThrow(
      `subnet 10.1.0.0/24 of network "blue" overlaps this host's route to 10.0.0.0/8: remove the route, or give --subnet 10.1.0.0/24 to use it all the same`,
    );
  });
});

describe('a subnet is refused', () => {
  it.each([
    ['10.77.0.0/16', pool('10.77.4.0/24', 'blue'), '10.77.4.0/24 of network "blue"', '10.77.4.0/24'],
    ['10.77.4.0/26', pool('10.77.4.0/24'), '10.77.4.0/24, which is in use', '10.77.4.0/24'],
  ])('that overlaps another: %s', (cidr, other, named, remedy) => {
    expect(() => refuseOverlap(parsePrefix(cidr), [pool('10.1.0.0/16'), other])).toThrow(
      `subnet ${cidr} overlaps ${named}: choose another --subnet, or --subnet ${remedy} to join that network`,
    );
  });

  it.each([
    ['0.0.0.0/0', '0.0.0.0/8 is for "this network"'],
    ['127.3.0.0/16', '127.0.0.0/8 is for loopback'],
    ['169.254.1.0/24', '169.254.0.0/16 is for link-local addresses'],
    ['224.1.0.0/16', '224.0.0.0/4 is for multicast'],
    ['255.255.255.0/24', '240.0.0.0/4 is for broadcast and uses yet to come'],
    ['::/64', '::/127 is for loopback and "no address"'],
    ['fe80::/64', 'fe80::/10 is for link-local addresses'],
    ['ff02::/64', 'ff00::/8 is for multicast'],
  ])('that means something else everywhere: %s', (cidr, reason) => {
    expect(() => refuseSpecial(parsePrefix(cidr))).toThrow(
      `subnet ${cidr} cannot be used, because ${reason}: choose another --subnet`,
    );
  });

  it.each(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fd00::/8', '2001:db8::/32'])(
    'but not %s',
    (cidr) => {
      expect(() => refuseSpecial(parsePrefix(cidr))).not.toThrow();
    },
  );

  it.each([
    ['10.77.2.0/24', '10.77.0.0/23'],
    ['10.76.0.0/15', '10.77.0.0/16'],
    ['fd00::/72', '10.77.0.0/16'],
  ])('when the range %s is not inside %s', (outside, cidr) => {
    expect(() => refuseOutside(parsePrefix(outside), parsePrefix(cidr))).toThrow(
      `--ip-range ${outside} is not inside subnet ${cidr}: choose a range that is, and name the subnet by --subnet`,
    );
  });
});
