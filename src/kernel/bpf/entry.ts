/**
 * How what the shortcut knows lies in the memory that it shares with the kernel. Both families in one form: an IPv4 address
 * is ::ffff:a.b.c.d there (RFC 4291, section 2.5.5.2).
 */
import { mac, readMac, u32 } from '../netlink/attribute.ts';
import { readAddress, wirePrefix } from '../netlink/ip.ts';
import type { ShortcutEntry } from '../state.ts';
import type { MapShape } from './object.ts';

/** Where in an entry the programs find what. */
export const entryLayout = { network: 0, linkIndex: 8, mtu: 12, mac: 16 } as const;
const entryBytes = 24;

export const addressBytes = 16;
/** In front of the address stands how many bits of it count. */
export const lengthBytes = 4;
export const mapped = Buffer.from('00000000000000000000ffff', 'hex');

/** Containers of this host, by address; what of the networks is elsewhere, by prefix. */
export const mapShapes = {
  port: {
    name: 'weft_ports',
    kind: 'hash',
    keyBytes: addressBytes,
    valueBytes: entryBytes,
    mostEntries: 0x1_0000,
  },
  prefix: {
    name: 'weft_prefixes',
    kind: 'prefixes',
    keyBytes: lengthBytes + addressBytes,
    valueBytes: entryBytes,
    mostEntries: 0x10_0000,
  },
} as const satisfies Record<string, MapShape>;
export type MapKind = keyof typeof mapShapes;

/** What a routed prefix has: the kernel finds the neighbour. */
const noMac = '00:00:00:00:00:00';

export function encodeEntry(
  { network, mtu, mac: address = noMac }: ShortcutEntry,
  linkIndex: number,
): Buffer {
  const bytes = Buffer.concat([Buffer.from(network, 'hex'), u32(linkIndex), u32(mtu), mac(address)]);
  return Buffer.concat([bytes], entryBytes);
}

/** @param nameOf of a link, by its index */
export function decodeEntry(
  destination: string,
  bytes: Buffer,
  nameOf: (linkIndex: number) => string,
): ShortcutEntry {
  const address = readMac(bytes.subarray(entryLayout.mac, entryLayout.mac + noMac.split(':').length));
  return {
    destination,
    link: nameOf(bytes.readUInt32LE(entryLayout.linkIndex)),
    network: bytes.toString('hex', entryLayout.network, entryLayout.linkIndex),
    mtu: bytes.readUInt32LE(entryLayout.mtu),
    ...(address === noMac ? {} : { mac: address }),
  };
}

export function encodeKey(kind: MapKind, destination: string): Buffer {
  const { family, bytes, length } = wirePrefix(destination);
  const address = family === 4 ? Buffer.concat([mapped, bytes]) : bytes;
  const bits = 8 * (addressBytes - bytes.length) + length;
  return kind === 'port' ? address : Buffer.concat([u32(bits), address]);
}

export function decodeKey(kind: MapKind, key: Buffer): string {
  const [bits, address] =
    kind === 'port' ? [8 * addressBytes, key] : [key.readUInt32LE(), key.subarray(lengthBytes)];
  const isIpv4 = address.subarray(0, mapped.length).equals(mapped) && bits >= 8 * mapped.length;
  const skipped = isIpv4 ? mapped.length : 0;
  return `${readAddress(address.subarray(skipped))}/${bits - 8 * skipped}`;
}
