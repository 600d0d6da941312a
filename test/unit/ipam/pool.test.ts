import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blockOf,
  countWithin,
  intersect,
  refuseUnusable,
  spanOf,
  unclaimedBlock,
  usable,
  windowOf,
} from '../../../src/ipam/pool.ts';
import {
  type Prefix,
  parseAddress,
  parsePrefix,
  printAddress,
  printPrefix,
} from '../../../src/model/address.ts';

const value = (text: string) => parseAddress(text).value;
const print = (pool: Prefix, at: bigint) => printAddress({ family: pool.family, value: at });

describe('what can be handed out', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.1', '10.255.255.254', 16_777_214n],
    ['10.77.0.0/16', '10.77.0.1', '10.77.255.254', 65_534n],
    ['10.77.0.0/24', '10.77.0.1', '10.77.0.254', 254n],
    ['10.77.0.16/28', '10.77.0.17', '10.77.0.30', 14n],
    ['10.77.0.8/29', '10.77.0.9', '10.77.0.14', 6n],
    ['10.77.0.8/30', '10.77.0.9', '10.77.0.10', 2n],
    ['10.77.0.8/31', '10.77.0.8', '10.77.0.9', 2n],
    ['10.77.0.8/32', '10.77.0.8', '10.77.0.8', 1n],
    ['fd00:1:2::/48', 'fd00:1:2::1', 'fd00:1:2:ffff:ffff:ffff:ffff:ffff', (1n << 80n) - 1n],
    ['fd00::/64', 'fd00::1', 'fd00::ffff:ffff:ffff:ffff', (1n << 64n) - 1n],
    ['fd00::100/120', 'fd00::101', 'fd00::1ff', 255n],
    ['fd00::2/127', 'fd00::2', 'fd00::3', 2n],
    ['fd00::2/128', 'fd00::2', 'fd00::2', 1n],
  ])('of %s is %s to %s: %d addresses', (cidr, first, last, count) => {
    const pool = parsePrefix(cidr);
    const span = usable(pool);
    expect([print(pool, span.first), print(pool, span.last)]).toEqual([first, last]);
    expect(countWithin(span, new Set())).toBe(count);
  });

  it.each([
    ['10.77.0.0/24', '10.77.0.0', 'the network address of', '10.77.0.1 to 10.77.0.254'],
    ['10.77.0.0/24', '10.77.0.255', 'the broadcast address of', '10.77.0.1 to 10.77.0.254'],
    ['10.77.0.0/24', '10.77.1.0', 'not in', '10.77.0.1 to 10.77.0.254'],
    ['10.77.0.0/24', 'fd00::1', 'not in', '10.77.0.1 to 10.77.0.254'],
    ['fd00::/120', 'fd00::', 'the subnet-router anycast address of', 'fd00::1 to fd00::ff'],
    ['10.77.0.8/31', '10.77.0.10', 'not in', '10.77.0.8 to 10.77.0.9'],
  ])('of %s is not %s', (cidr, address, place, choice) => {
    expect(() => refuseUnusable(parsePrefix(cidr), parseAddress(address))).toThrow(
      `address ${address} is ${place} subnet ${cidr}: choose one from ${choice}`,
    );
  });

  it.each([
    ['10.77.0.8/31', '10.77.0.8'],
    ['fd00::/120', 'fd00::ff'],
  ])('of %s is %s', (cidr, address) => {
    expect(() => refuseUnusable(parsePrefix(cidr), parseAddress(address))).not.toThrow();
  });

  it('leaves out what is kept back', () => {
    const kept = new Set(['10.77.0.1', '10.77.0.9', '10.78.0.1'].map(value));
    expect(countWithin(usable(parsePrefix('10.77.0.0/24')), kept)).toBe(252n);
    expect(countWithin({ first: 5n, last: 3n }, kept)).toBe(0n);
  });
});

describe('a block', () => {
  it.each([
    ['10.0.0.0/8', '10.1.2.200', '10.1.2.192/26'],
    ['10.77.0.16/28', '10.77.0.20', '10.77.0.16/28'],
    ['10.77.0.8/32', '10.77.0.8', '10.77.0.8/32'],
    ['fd00::/64', 'fd00::1:2345', 'fd00::1:2340/122'],
    ['fd00::2/127', 'fd00::3', 'fd00::2/127'],
  ])('of %s in which %s lies is %s', (cidr, address, block) => {
    expect(printPrefix(blockOf(parsePrefix(cidr), value(address)))).toBe(block);
  });

  it('has as its window the part that is usable, in the range, and not kept back', () => {
    const pool = parsePrefix('10.77.0.0/24');
    const kept = new Set(['10.77.0.1', '10.77.0.9', '10.77.0.70'].map(value));
    const window = (block: string, range: string) =>
      windowOf(parsePrefix(block), intersect(usable(pool), spanOf(parsePrefix(range))), kept);
    expect(window('10.77.0.0/26', '10.77.0.0/24')).toEqual({ first: 1, last: 63, except: new Set([1, 9]) });
    expect(window('10.77.0.64/26', '10.77.0.0/24')).toEqual({ first: 0, last: 63, except: new Set([6]) });
    expect(window('10.77.0.192/26', '10.77.0.0/24')).toEqual({ first: 0, last: 62, except: new Set() });
    expect(window('10.77.0.0/26', '10.77.0.32/28')).toEqual({ first: 32, last: 47, except: new Set([1, 9]) });
    const outside = window('10.77.0.0/26', '10.77.0.128/28');
    expect(outside.first).toBeGreaterThan(outside.last);
  });
});

describe('the unclaimed block', () => {
  function pick(cidr: string, claimed: string[], nth = 0, more: { range?: string; kept?: string[] } = {}) {
    const pool = parsePrefix(cidr);
    const span =
      more.range === undefined ? usable(pool) : intersect(usable(pool), spanOf(parsePrefix(more.range)));
    const keptBack = new Set((more.kept ?? []).map(value));
    const block = unclaimedBlock(pool, { span, keptBack, claimed: claimed.map(value) }, nth);
    return block && printPrefix(block);
  }

  it.each<[string, string | undefined, ...Parameters<typeof pick>]>([
    ['the lowest', '10.77.0.0/26', '10.77.0.0/16', []],
    ['the lowest after those claimed', '10.77.0.128/26', '10.77.0.0/16', ['10.77.0.64', '10.77.0.0']],
    ['the lowest between those claimed', '10.77.0.64/26', '10.77.0.0/16', ['10.77.0.128', '10.77.0.0']],
    ['the nth of those left', '10.77.1.0/26', '10.77.0.0/16', ['10.77.0.64', '10.77.0.128'], 2],
    ['counted around', '10.77.0.0/26', '10.77.0.0/24', [], 4],
    ['counted around what is claimed', '10.77.0.192/26', '10.77.0.0/24', ['10.77.0.64'], 5],
    ['in the range', '10.77.0.128/26', '10.77.0.0/24', [], 0, { range: '10.77.0.160/27' }],
    [
      'none: the range is claimed',
      undefined,
      '10.77.0.0/24',
      ['10.77.0.128'],
      0,
      { range: '10.77.0.160/27' },
    ],
    ['none: all is claimed', undefined, '10.77.0.0/25', ['10.77.0.0', '10.77.0.64']],
    ['none: all is kept back', undefined, '10.77.0.8/30', [], 0, { kept: ['10.77.0.9', '10.77.0.10'] }],
    ['none: the range has nothing to hand out', undefined, '10.77.0.0/24', [], 0, { range: '10.77.0.0/32' }],
    ['the last of a /8', '10.255.255.192/26', '10.0.0.0/8', [], 262_143],
    ['the first of a /8 again', '10.0.0.0/26', '10.0.0.0/8', [], 262_144],
    ['one far up a /64', 'fd00::3ff:ffc0/122', 'fd00::/64', [], 2 ** 20 - 1],
    ['the whole of a small pool', '10.77.0.8/32', '10.77.0.8/32', []],
  ])('is %s', (_, expected, ...question) => {
    expect(pick(...question)).toBe(expected);
  });

  it('is every one in turn, and never one that is claimed', () => {
    const index = fc.nat({ max: 63 });
    fc.assert(
      fc.property(fc.uniqueArray(index), fc.nat(), (indices, nth) => {
        const pool = parsePrefix('10.77.0.0/20');
        const first = (at: number) => pool.first + BigInt(at) * 64n;
        const claimed = indices.map(first);
        const left = Array.from({ length: 64 }, (_, at) => first(at)).filter((at) => !claimed.includes(at));
        const block = unclaimedBlock(pool, { span: usable(pool), keptBack: new Set(), claimed }, nth);
        expect(block?.first).toBe(left[nth % left.length]);
      }),
    );
  });
});
