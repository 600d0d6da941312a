import { describe, expect, test } from 'vitest';
import { elementOf } from '../../bench/dataplane/filter-elements.ts';

describe('elements that fill a filter set', () => {
  test.each([
    { type: ['ipv4_addr'], interval: true, index: 4096, expected: '100.65.0.0/28' },
    { type: ['ipv4_addr'], interval: false, index: 1, expected: '100.64.0.16' },
    { type: ['ipv6_addr'], interval: true, index: 65_537, expected: 'fd64::0001:0001:0/112' },
    {
      type: ['ifname', 'ether_addr'],
      interval: false,
      index: 256,
      expected: '"bench256" . 02:be:00:00:01:00',
    },
    {
      type: ['ifname', 'integer'],
      interval: false,
      index: 1,
      expected: '"bench1" . 0xfd640000000000000000000000000001',
    },
    {
      type: ['ipv4_addr', 'ipv4_addr'],
      interval: true,
      index: 0,
      expected: '100.64.0.0/28 . 100.64.0.0/28',
    },
  ])('of $type: $expected', ({ index, expected, ...set }) => {
    expect(elementOf(set, index)).toBe(expected);
  });

  test('differ from each other, and stay out of the addresses of the lab', () => {
    const set = { type: ['ipv4_addr'], interval: true };
    const elements = Array.from({ length: 10_000 }, (_, index) => elementOf(set, index));
    expect(new Set(elements).size).toBe(10_000);
    expect(elements.every((element) => /^100\.(6[4-9]|[7-9]\d)\./.test(element))).toBe(true);
  });

  test('a type that is new here is named', () => {
    expect(() => elementOf({ type: ['mark'], interval: false }, 0)).toThrow('filter set of mark');
  });
});
