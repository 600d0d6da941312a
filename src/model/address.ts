/**
 * IP addresses and prefixes. Text is parsed and printed here, by ip-num; inside weft an address is an
 * integer, so that arithmetic is one line of code for both families. They differ in data only: `families`.
 */
import { collapseIPv6Number, IPv4, IPv6 } from 'ip-num';
import { WeftError } from '../errors.ts';

export type Family = 4 | 6;

/** What differs between the families. */
export const families = {
  4: { name: 'IPv4', bits: 32, blockLength: 26, firstAddress: 'network address', hasBroadcast: true },
  6: {
    name: 'IPv6',
    bits: 128,
    blockLength: 122,
    /** RFC 4291, section 2.6.1. */
    firstAddress: 'subnet-router anycast address',
    hasBroadcast: false,
    /** RFC 4291, section 2.5.1: the other half identifies the interface. */
    subnetLength: 64,
  },
} as const satisfies Record<Family, object>;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A CIDR prefix; `first` has no bits set below `length`. */
export interface Prefix {
  readonly family: Family;
  readonly first: bigint;
  readonly length: number;
}

/** Of an address or a prefix, as text. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4;
}

/** Those that occur among addresses or prefixes, as text; each once. */
export function familiesOf(texts: readonly string[]): Family[] {
  return [...new Set(texts.map(familyOf))];
}

/** To parse one takes up to 50 µs, to print one up to 15, and the same few are asked for again and again. */
const mostRemembered = 10_000;

function remembering<K, T>(make: (of: K) => T): (of: K) => T {
  const known = new Map<K, T>();
  return (of) => {
    const found = known.get(of);
    if (found !== undefined) return found;
    const made = make(of);
    if (known.size >= mostRemembered) known.clear();
    known.set(of, made);
    return made;
  };
}

/** @throws WeftError `invalid` naming the text and what it should have been. */
export const parseAddress = remembering((text: string): Address => {
  const family = familyOf(text);
  try {
    if (text.includes('%')) throw new Error('it has a zone');
    const value = family === 4 ? new IPv4(text).getValue() : new IPv6(text).getValue();
    return { family, value };
  } catch (cause) {
    throw new WeftError('invalid', `"${text}" is not an IP address`, { cause });
  }
});

const texts: Record<Family, (value: bigint) => string> = {
  4: remembering((value) => new IPv4(value).toString()),
  6: remembering((value) => collapseIPv6Number(new IPv6(value).toString())),
};

/** Canonical text: IPv6 in its short form, as Docker writes it. */
export function printAddress({ family, value }: Address): string {
  return texts[family](value);
}

/**
 * Parses `10.77.0.0/16`. Host bits are refused, with the prefix that was probably meant.
 * @throws WeftError `invalid`
 */
export const parsePrefix = remembering((text: string): Prefix => {
  const { address, length } = parseInterface(text);
  const prefix = prefixOf(address, length);
  if (prefix.first !== address.value) {
    throw new WeftError('invalid', `"${text}" is not a subnet: did you mean ${printPrefix(prefix)}?`);
  }
  return prefix;
});

/** Whether `parsePrefix` takes the text. */
export function isPrefix(text: string): boolean {
  try {
    parsePrefix(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Parses an address with its prefix length, `10.77.0.5/16`.
 * @throws WeftError `invalid`
 */
export function parseInterface(text: string): { readonly address: Address; readonly length: number } {
  const [head = '', tail, ...rest] = text.split('/');
  if (tail === undefined || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(tail)) {
    throw new WeftError(
      'invalid',
      `"${text}" is not a subnet: write it as address/length, like 10.77.0.0/16`,
    );
  }
  const address = parseAddress(head);
  const length = Number(tail);
  const { bits, name } = families[address.family];
  if (length > bits) {
    throw new WeftError('invalid', `"${text}" is not a subnet: an ${name} prefix length is at most ${bits}`);
  }
  return { address, length };
}

export function printPrefix({ family, first, length }: Prefix): string {
  return `${printAddress({ family, value: first })}/${length}`;
}

/** The prefix of the given length that the address lies in. */
export function prefixOf({ family, value }: Address, length: number): Prefix {
  const hostBits = BigInt(families[family].bits - length);
  return { family, first: (value >> hostBits) << hostBits, length };
}

/** How many addresses the prefix spans. */
export function prefixSize({ family, length }: Prefix): bigint {
  return 1n << BigInt(families[family].bits - length);
}

/** Its last address, as an integer. */
export function lastOf(prefix: Prefix): bigint {
  return prefix.first + prefixSize(prefix) - 1n;
}

/** Whether the address, or the whole of the other prefix, lies inside. */
export function contains(outer: Prefix, inner: Address | Prefix): boolean {
  if (outer.family !== inner.family) return false;
  if ('value' in inner) return inner.value >= outer.first && inner.value <= lastOf(outer);
  return inner.length >= outer.length && inner.first >= outer.first && inner.first <= lastOf(outer);
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

/** The prefix length of a single address: 32 or 128. */
export function singleLength(family: Family): number {
  return families[family].bits;
}

/** The prefix that is this address alone, both as text: `10.77.0.5/32`. */
export function singlePrefix(address: string): string {
  return `${address}/${singleLength(familyOf(address))}`;
}

/** What a link with this MAC gives itself (RFC 4291, appendix A): the MAC, one bit of it turned, around `ff:fe`. */
export function linkLocalOf(mac: string): string {
  const bits = BigInt(`0x${mac.replaceAll(':', '')}`);
  const identifier = ((bits >> 24n) << 40n) | 0xff_fe_00_00_00n | (bits & 0xff_ff_ffn);
  return printAddress({ family: 6, value: (0xfe80n << 112n) | (identifier ^ (2n << 56n)) });
}
