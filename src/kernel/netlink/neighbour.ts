/**
 * Neighbours and forwarding entries, which are one kind to the kernel: `ip neigh` and `bridge fdb` (struct
 * ndmsg, NDA_* attributes). A forwarding entry is of family AF_BRIDGE, and has a MAC where a neighbour has an
 * address.
 */
import type { Family } from '../../model/address.ts';
import { allOtherMacs, type FdbEntry, type Neighbour } from '../state.ts';
import { type Attribute, decodeAttributes, encodeAttributes, mac, readMac } from './attribute.ts';
import { addressFamily, familyOf, readAddress, wireAddress } from './ip.ts';
import { type Message, NLM_F, type Request } from './message.ts';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const AF_BRIDGE = 7;
const NDA = { DST: 1, LLADDR: 2, VLAN: 5, MASTER: 9 } as const;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 2;
const NTF_MASTER = 4;
const NTF_EXT_LEARNED = 0x10;
const headerBytes = 12;

type NameOf = (linkIndex: number) => string | undefined;

export function putNeighbour(neighbour: Neighbour, linkIndex: number): Request {
  const { family, bytes } = wireAddress(neighbour.address);
  return request(
    RTM_NEWNEIGH,
    NLM_F.CREATE | NLM_F.REPLACE,
    header(addressFamily[family], linkIndex, NUD_PERMANENT, 0),
    [
      [NDA.DST, bytes],
      [NDA.LLADDR, mac(neighbour.mac)],
    ],
  );
}

export function deleteNeighbour(neighbour: Neighbour, linkIndex: number): Request {
  const { family, bytes } = wireAddress(neighbour.address);
  return request(RTM_DELNEIGH, 0, header(addressFamily[family], linkIndex, 0, 0), [[NDA.DST, bytes]]);
}

/** Replaces the VTEP of a MAC; adds one to the all-zero MAC, which may have many. */
export function putFdbEntry(entry: FdbEntry, linkIndex: number): Request {
  const flags = NLM_F.CREATE | (entry.mac === allOtherMacs ? NLM_F.APPEND : NLM_F.REPLACE);
  return request(RTM_NEWNEIGH, flags, fdbHeader(entry, linkIndex), fdbAttributes(entry));
}

export function deleteFdbEntry(entry: FdbEntry, linkIndex: number): Request {
  return request(RTM_DELNEIGH, 0, fdbHeader(entry, linkIndex), fdbAttributes(entry));
}

/** What a vxlan device sends is `permanent`; of a bridge, that means the port's own, and ours are `static`. */
function fdbHeader({ table }: FdbEntry, linkIndex: number): Buffer {
  return table === 'self'
    ? header(AF_BRIDGE, linkIndex, NUD_PERMANENT, NTF_SELF)
    : header(AF_BRIDGE, linkIndex, NUD_NOARP, NTF_MASTER);
}

function fdbAttributes(entry: FdbEntry): Attribute[] {
  const attributes: Attribute[] = [[NDA.LLADDR, mac(entry.mac)]];
  if (entry.table === 'self') attributes.push([NDA.DST, wireAddress(entry.vtep).bytes]);
  return attributes;
}

export function dumpNeighbours(family: Family): Request {
  return { type: RTM_GETNEIGH, flags: NLM_F.DUMP, body: header(addressFamily[family], 0, 0, 0) };
}

export function dumpFdb(): Request {
  return { type: RTM_GETNEIGH, flags: NLM_F.DUMP, body: header(AF_BRIDGE, 0, 0, 0) };
}

/** Undefined for what the kernel found out by itself. */
export function decodeNeighbour(body: Buffer, nameOf: NameOf): Neighbour | undefined {
  const link = nameOf(body.readInt32LE(4));
  if (link === undefined || familyOf(body.readUInt8(0)) === undefined) return undefined;
  if (body.readUInt16LE(8) !== NUD_PERMANENT) return undefined;
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const address = attributes.get(NDA.DST);
  const lladdr = attributes.get(NDA.LLADDR);
  if (address === undefined || lladdr === undefined) return undefined;
  return { link, address: readAddress(address), mac: readMac(lladdr) };
}

/** Undefined for what was learned, for the ports' own MACs and for multicast filters. */
export function decodeFdbEntry(body: Buffer, nameOf: NameOf): FdbEntry | undefined {
  const link = nameOf(body.readInt32LE(4));
  const flags = body.readUInt8(10);
  if (link === undefined || (flags & NTF_EXT_LEARNED) !== 0) return undefined;
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const lladdr = attributes.get(NDA.LLADDR);
  if (lladdr === undefined || attributes.has(NDA.VLAN)) return undefined;
  if ((flags & NTF_SELF) !== 0) {
    const vtep = attributes.get(NDA.DST);
    if (vtep === undefined) return undefined;
    return { link, table: 'self', mac: readMac(lladdr), vtep: readAddress(vtep) };
  }
  if (body.readUInt16LE(8) !== NUD_NOARP || !attributes.has(NDA.MASTER)) return undefined;
  return { link, table: 'master', mac: readMac(lladdr) };
}

/**
 * Whether somebody took away an entry that may be weft's. What a neighbour was is not told: the kernel has set it to
 * failed before (net/core/neighbour.c, neigh_delete).
 */
export function isDeletionOfEntry({ type, body }: Message): boolean {
  if (type !== RTM_DELNEIGH) return false;
  return body.readUInt8(0) !== AF_BRIDGE || decodeFdbEntry(body, String) !== undefined;
}

function header(family: number, linkIndex: number, state: number, flags: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  return bytes;
}

function request(type: number, flags: number, fixed: Buffer, attributes: readonly Attribute[]): Request {
  return { type, flags: flags | NLM_F.ACK, body: Buffer.concat([fixed, encodeAttributes(attributes)]) };
}
