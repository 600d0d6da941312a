import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Address,
  contains,
  type Family,
  families,
  lastOf,
  linkLocalOf,
  overlaps,
  parseAddress,
  parseInterface,
  parsePrefix,
  prefixOf,
  prefixSize,
  printAddress,
  printPrefix,
  singleLength,
} from '../../../src/model/address.ts';

const family = fc.constantFrom<Family>(4, 6);
const address: fc.Arbitrary<Address> = family.chain((of) =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(families[of].bits)) - 1n }).map((value) => ({ family: of, value })),
);
const prefix = address.chain((of) =>
  fc.nat({ max: families[of.family].bits }).map((length) => prefixOf(of, length)),
);

describe('an address', () => {
  it.each([
    ['10.77.0.5', '10.77.0.5'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:0:0:0:0:A', 'fd00::a'],
    ['fd00:0:0:1::', 'fd00:0:0:1::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ])('%s is printed as %s', (text, canonical) => {
    expect(printAddress(parseAddress(text))).toBe(canonical);
  });

  it.each([
    '',
    ' 10.0.0.1',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '0x0a.0.0.1',
    '10.0.0.1.2',
    '10.0.0.-1',
    '1::2::3',
    '12345::',
    'fe80::1%eth0',
    '10.0.0.1/24',
    'host',
  ])('is not "%s"', (text) => {
    expect(() => parseAddress(text)).toThrow(`"${text}" is not an IP address`);
  });

  it('is the same after printing and parsing', () => {
    fc.assert(
      fc.property(address, (of) => {
        expect(parseAddress(printAddress(of))).toEqual(of);
      }),
    );
  });
});

describe('a prefix', () => {
  it.each(['10.77.0.0/16', '0.0.0.0/0', '10.1.2.3/32', 'fd00::/64', '::/0', 'fd00::1/128'])(
    '%s is printed as it was written',
    (text) => {
      expect(printPrefix(parsePrefix(text))).toBe(text);
    },
  );

  it.each([
    ['10.77.0.5/16', '"10.77.0.5/16" is not a subnet: did you mean 10.77.0.0/16?'],
    ['fd00::1/64', '"fd00::1/64" is not a subnet: did you mean fd00::/64?'],
    ['10.77.0.0', '"10.77.0.0" is not a subnet: write it as address/length, like 10.77.0.0/16'],
    ['10.77.0.0/', '"10.77.0.0/" is not a subnet: write it as address/length, like 10.77.0.0/16'],
    ['10.77.0.0/08', '"10.77.0.0/08" is not a subnet: write it as address/length, like 10.77.0.0/16'],
    ['10.77.0.0/1/2', '"10.77.0.0/1/2" is not a subnet: write it as address/length, like 10.77.0.0/16'],
    ['10.77.0.0/-1', '"10.77.0.0/-1" is not a subnet: write it as address/length, like 10.77.0.0/16'],
    ['10.77.0.0/33', '"10.77.0.0/33" is not a subnet: an IPv4 prefix length is at most 32'],
    ['fd00::/129', '"fd00::/129" is not a subnet: an IPv6 prefix length is at most 128'],
    ['10.77/16', '"10.77" is not an IP address'],
  ])('is not %s', (text, sentence) => {
    expect(() => parsePrefix(text)).toThrow(sentence);
  });

  it('keeps its host bits as an interface', () => {
    expect(parseInterface('10.77.0.5/16')).toEqual({ address: parseAddress('10.77.0.5'), length: 16 });
  });

  it.each([
    ['10.0.0.0/8', 16_777_216n, '10.255.255.255'],
    ['10.0.0.0/32', 1n, '10.0.0.0'],
    ['fd00::/64', 18_446_744_073_709_551_616n, 'fd00::ffff:ffff:ffff:ffff'],
    ['::/0', 1n << 128n, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ])('%s spans %d addresses up to %s', (text, size, last) => {
    const of = parsePrefix(text);
    expect(prefixSize(of)).toBe(size);
    expect(printAddress({ family: of.family, value: lastOf(of) })).toBe(last);
  });

  it('contains the addresses whose prefix of its length it is, and no other', () => {
    fc.assert(
      fc.property(prefix, address, (of, some) => {
        const same = of.family === some.family && prefixOf(some, of.length).first === of.first;
        expect(contains(of, some)).toBe(same);
      }),
    );
  });

  it('contains its first and its last address, and not those beside it', () => {
    fc.assert(
      fc.property(prefix, (of) => {
        const at = (value: bigint) => contains(of, { family: of.family, value });
        expect([at(of.first), at(lastOf(of)), at(of.first - 1n), at(lastOf(of) + 1n)]).toEqual([
          true,
          true,
          false,
          false,
        ]);
      }),
    );
  });
});

describe('two prefixes', () => {
  it.each([
    ['10.77.0.0/16', '10.77.4.0/24', true],
    ['10.77.4.0/24', '10.77.0.0/16', true],
    ['10.77.0.0/16', '10.77.0.0/16', true],
    ['10.77.0.0/24', '10.77.1.0/24', false],
    ['0.0.0.0/0', 'fd00::/8', false],
    ['::/0', 'fd00::/8', true],
  ])('%s and %s overlap: %s', (a, b, expected) => {
    expect(overlaps(parsePrefix(a), parsePrefix(b))).toBe(expected);
  });

  it('overlap when some address lies in both', () => {
    fc.assert(
      fc.property(prefix, prefix, (a, b) => {
        const shared = a.family === b.family && a.first <= lastOf(b) && b.first <= lastOf(a);
        expect(overlaps(a, b)).toBe(shared);
      }),
    );
  });
});

it.each([
  [4, 32],
  [6, 128],
] as const)('a single IPv%d address is a prefix of length %d', (of, length) => {
  expect(singleLength(of)).toBe(length);
});

it.each([
  ['02:57:0a:4d:00:02', 'fe80::57:aff:fe4d:2'],
  ['52:54:00:ff:ff:ff', 'fe80::5054:ff:feff:ffff'],
])('a link with MAC %s gives itself %s', (mac, address) => {
  expect(linkLocalOf(mac)).toBe(address);
});
