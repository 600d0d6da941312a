/**
 * Elements of nftables' sets and maps (struct nfgenmsg, NFTA_*; linux/netfilter/nf_tables.h), for the path of a
 * container's start, where there is no time for `nft`. Tables, chains and rules are left to `nft`.
 */
import { WeftError } from '../../errors.ts';
import type { NftElements, NftTable } from '../nft.ts';
import {
  type Attribute,
  aligned,
  decodeAttributes,
  encodeAttributes,
  mac,
  networkU16,
  readText,
  text,
} from './attribute.ts';
import { wireAddress } from './ip.ts';
import { type Message, NLM_F, type Request } from './message.ts';

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
export const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_DELTABLE = 2;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_DELSETELEM = 14;
const NFT_MSG_GETGEN = 16;
const NFTA_TABLE_NAME = 1;
const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
export const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM = { KEY: 1, DATA: 2 } as const;
export const NFTA_DATA_VALUE = 1;
const NFTA_GEN_ID = 1;
const protocolFamilies = { inet: 1, bridge: 7 } as const satisfies Record<NftTable['family'], number>;
const headerBytes = 4;
const IFNAMSIZ = 16;

/** A field is as wide as its type says; in a key of several, each begins on a multiple of four bytes. */
const encoders: Readonly<Record<string, (field: string) => Buffer>> = {
  ifname: (name) => Buffer.concat([Buffer.from(name.replaceAll('"', ''))], IFNAMSIZ),
  ether_addr: mac,
  ipv4_addr: (address) => wireAddress(address).bytes,
  ipv6_addr: (address) => wireAddress(address).bytes,
  /** Of 128 bits, in hexadecimal: there are no others in weft's sets. */
  integer: (hex) => Buffer.from(hex.replace(/^0x/, '').padStart(32, '0'), 'hex'),
  inet_proto: (protocol) => Buffer.of(Number(protocol)),
  inet_service: (port) => networkU16(Number(port)),
};

/**
 * One transaction: all of it, or nothing. To add what is there with the same data is no error; to delete what is
 * not there is one.
 */
export function changeElements(
  verb: 'add' | 'delete',
  { family, name }: Pick<NftTable, 'family' | 'name'>,
  changes: readonly NftElements[],
): Request[] {
  const type = (NFNL_SUBSYS_NFTABLES << 8) | (verb === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
  const flags = NLM_F.ACK | (verb === 'add' ? NLM_F.CREATE : 0);
  const messages = changes.map(({ set, elements }): Request => {
    const list: Attribute[] = [
      [NFTA_SET_ELEM_LIST.TABLE, text(name)],
      [NFTA_SET_ELEM_LIST.SET, text(set.name)],
      [NFTA_SET_ELEM_LIST.ELEMENTS, elements.map((element) => encodeElement(set, element, verb))],
    ];
    return { type, flags, body: Buffer.concat([header(protocolFamilies[family]), encodeAttributes(list)]) };
  });
  return batch(messages);
}

/** Carried out together, when the last has come, or not at all. */
export function batch(requests: readonly Request[]): Request[] {
  return [batchEdge(NFNL_MSG_BATCH_BEGIN), ...requests, batchEdge(NFNL_MSG_BATCH_END)];
}

/** Asks how often the namespace's tables, whoever's, have been changed. */
export function getGeneration(): Request {
  return { type: (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, flags: NLM_F.ACK, body: header(0) };
}

export function decodeGeneration(body: Message['body']): number | undefined {
  return decodeAttributes(body.subarray(headerBytes)).get(NFTA_GEN_ID)?.readUInt32BE();
}

/** Type of the message that tells of it. */
export const deletionOfTable = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_DELTABLE;

export function decodeTableName(body: Message['body']): string {
  return readText(decodeAttributes(body.subarray(headerBytes)).get(NFTA_TABLE_NAME) ?? Buffer.alloc(0));
}

function encodeElement({ name, type, data }: NftElements['set'], element: string, verb: string): Attribute {
  const [key = '', value] = element.split(' : ');
  const attributes: Attribute[] = [[NFTA_SET_ELEM.KEY, [[NFTA_DATA_VALUE, encodeKey(name, type, key)]]]];
  if (data !== undefined && value !== undefined && verb === 'add') {
    attributes.push([NFTA_SET_ELEM.DATA, [[NFTA_DATA_VALUE, encodeKey(name, data, value)]]]);
  }
  return [NFTA_LIST_ELEM, attributes];
}

function encodeKey(set: string, types: readonly string[], key: string): Buffer {
  const fields = key.split(' . ').map((field, position) => {
    const encode = encoders[types[position] ?? ''];
    if (encode !== undefined) return encode(field);
    throw new WeftError('internal', `set ${set} cannot hold ${key}: weft does not know how to encode it`);
  });
  if (fields.length === 1) return Buffer.concat(fields);
  return Buffer.concat(fields.map((bytes) => Buffer.concat([bytes], aligned(bytes.length))));
}

function batchEdge(type: number): Request {
  return { type, flags: 0, body: header(0, NFNL_SUBSYS_NFTABLES) };
}

/** struct nfgenmsg */
export function header(family: number, resource = 0): Buffer {
  const bytes = Buffer.of(family, 0, 0, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}
