/** IP addresses and prefixes as netlink carries them: raw bytes, the family and the length beside them. */
import {
  type Address,
  type Family,
  families,
  parseAddress,
  parsePrefix,
  printAddress,
} from '../../model/address.ts';

const AF_INET = 2;
const AF_INET6 = 10;

/** The kernel's number of a family. */
export const addressFamily = { 4: AF_INET, 6: AF_INET6 } as const satisfies Record<Family, number>;

/** Undefined for what is not IP. */
export function familyOf(af: number): Family | undefined {
  return af === AF_INET ? 4 : af === AF_INET6 ? 6 : undefined;
}

export interface WireAddress {
  readonly family: Family;
  readonly bytes: Buffer;
}

export interface WirePrefix extends WireAddress {
  readonly length: number;
}

export function wireAddress(text: string): WireAddress {
  return toWire(parseAddress(text));
}

export function wirePrefix(text: string): WirePrefix {
  const { family, first, length } = parsePrefix(text);
  return { ...toWire({ family, value: first }), length };
}

export function toWire({ family, value }: Address): WireAddress {
  const hex = value.toString(16).padStart(families[family].bits / 4, '0');
  return { family, bytes: Buffer.from(hex, 'hex') };
}

/** Canonical text. A dump holds tens of thousands of IPv4 addresses, so these skip the integer. */
export function readAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return printAddress({ family: 6, value: BigInt(`0x${bytes.toString('hex')}`) });
}

/** The kernel leaves the address out where it is all zeros. */
export function readPrefix(family: Family, bytes: Buffer | undefined, length: number): string {
  return `${readAddress(bytes ?? Buffer.alloc(families[family].bits / 8))}/${length}`;
}
