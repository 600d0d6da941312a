/** Addresses of links (struct ifaddrmsg, IFA_* attributes). */
import { type Family, parseInterface } from '../../model/address.ts';
import type { LinkAddress } from '../state.ts';
import { type Attribute, decodeAttributes, encodeAttributes, u32 } from './attribute.ts';
import { addressFamily, familyOf, readAddress, toWire } from './ip.ts';
import { NLM_F, type Request } from './message.ts';

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8, PROTO: 11 } as const;
/** Of an IPv6 address; of an IPv4 one the same bit says that it is not the first of its subnet. */
const IFA_F_TEMPORARY = 0x01;
const IFA_F_NODAD = 0x02;
const IFA_F_PERMANENT = 0x80;
const scopes = { global: 0, link: 253 } as const;
const headerBytes = 8;

/** No duplicate address detection: weft knows who has an address, and one that is tentative does not answer. */
export function putAddress(address: LinkAddress, linkIndex: number): Request {
  return change(RTM_NEWADDR, NLM_F.CREATE | NLM_F.REPLACE, address, linkIndex);
}

export function deleteAddress(address: LinkAddress, linkIndex: number): Request {
  return change(RTM_DELADDR, 0, address, linkIndex);
}

function change(type: number, flags: number, object: LinkAddress, linkIndex: number): Request {
  const { address, length } = parseInterface(object.address);
  const { family, bytes } = toWire(address);
  const attributes: Attribute[] = [
    [IFA.LOCAL, bytes],
    [IFA.ADDRESS, bytes],
    [IFA.FLAGS, u32(IFA_F_NODAD)],
  ];
  const fixed = header(family, length, scopes[object.scope], linkIndex);
  return { type, flags: flags | NLM_F.ACK, body: Buffer.concat([fixed, encodeAttributes(attributes)]) };
}

export function dumpAddresses(family: Family): Request {
  return { type: RTM_GETADDR, flags: NLM_F.DUMP, body: header(family, 0, 0, 0) };
}

export interface KernelAddress {
  readonly object: LinkAddress;
  /** Set by someone, for good: not by the kernel itself, nor on lease from a router. */
  readonly permanent: boolean;
  /** Made up by the kernel to hide behind, and soon another. */
  readonly temporary: boolean;
}

/** Undefined where the link is none of those named. */
export function decodeAddress(
  body: Buffer,
  nameOf: (linkIndex: number) => string | undefined,
): KernelAddress | undefined {
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const link = nameOf(body.readUInt32LE(4));
  const bytes = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS);
  const family = familyOf(body.readUInt8(0));
  if (family === undefined || link === undefined || bytes === undefined) return undefined;
  const flags = attributes.get(IFA.FLAGS)?.readUInt32LE() ?? body.readUInt8(2);
  const maker = attributes.get(IFA.PROTO)?.readUInt8() ?? 0;
  const scope = body.readUInt8(3) === scopes.global ? 'global' : 'link';
  return {
    object: { link, address: `${readAddress(bytes)}/${body.readUInt8(1)}`, scope },
    permanent: maker === 0 && (flags & IFA_F_PERMANENT) !== 0,
    temporary: family === 6 && (flags & IFA_F_TEMPORARY) !== 0,
  };
}

function header(family: Family, length: number, scope: number, linkIndex: number): Buffer {
  const bytes = Buffer.of(addressFamily[family], length, 0, scope, 0, 0, 0, 0);
  bytes.writeUInt32LE(linkIndex, 4);
  return bytes;
}
