/** Connections that the kernel keeps track of (struct nfgenmsg, CTA_*; linux/netfilter/nfnetlink_conntrack.h). */
import { type Family, parseAddress } from '../../model/address.ts';
import { type Attribute, decodeAttributes, encodeAttributes, nested, u32 } from './attribute.ts';
import { addressFamily, familyOf, readAddress, toWire } from './ip.ts';
import { NLM_F, type Request } from './message.ts';

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, ID: 12, ZONE: 18, FILTER: 25 } as const;
const CTA_TUPLE_IP = 1;
const CTA_IP = { 4: { SOURCE: 1, DESTINATION: 2 }, 6: { SOURCE: 3, DESTINATION: 4 } } as const;
const CTA_FILTER = { ORIG_FLAGS: 1, REPLY_FLAGS: 2 } as const;
const CTA_FILTER_IP_SOURCE = 1;
const headerBytes = 4;

export interface KernelConnection {
  readonly family: Family;
  /** Of the packet that opened it, as it came. */
  readonly source: string;
  /** Of its replies: who answered. */
  readonly answerer: string;
  /** As the kernel wants them to find it again. */
  readonly identity: readonly Attribute[];
}

/**
 * Connections that an address opened, or answered. Kernels from 5.8 leave out the others themselves.
 */
export function dumpConnections(address: string, side: 'opened' | 'answered'): Request {
  const { family, bytes } = toWire(parseAddress(address));
  const opened = side === 'opened';
  const tuple: Attribute[] = [[CTA_TUPLE_IP, [[CTA_IP[family].SOURCE, bytes]]]];
  const body = encodeAttributes([
    [opened ? CTA.TUPLE_ORIG : CTA.TUPLE_REPLY, tuple],
    [
      CTA.FILTER,
      [
        [CTA_FILTER.ORIG_FLAGS, u32(opened ? CTA_FILTER_IP_SOURCE : 0)],
        [CTA_FILTER.REPLY_FLAGS, u32(opened ? 0 : CTA_FILTER_IP_SOURCE)],
      ],
    ],
  ]);
  return request(IPCTNL_MSG_CT_GET, NLM_F.DUMP, family, body);
}

export function decodeConnection(body: Buffer): KernelConnection | undefined {
  const family = familyOf(body.readUInt8(0));
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const source = (side: number) =>
    nested(nested(attributes, side), CTA_TUPLE_IP).get(CTA_IP[family].SOURCE) ?? Buffer.alloc(4);
  const kept = [CTA.TUPLE_ORIG, CTA.ZONE, CTA.ID];
  return {
    family,
    source: readAddress(source(CTA.TUPLE_ORIG)),
    answerer: readAddress(source(CTA.TUPLE_REPLY)),
    identity: kept.flatMap((type): Attribute[] => {
      const payload = attributes.get(type);
      return payload === undefined ? [] : [[type, Buffer.from(payload)]];
    }),
  };
}

export function deleteConnection({ family, identity }: KernelConnection): Request {
  return request(IPCTNL_MSG_CT_DELETE, NLM_F.ACK, family, encodeAttributes(identity));
}

function request(message: number, flags: number, family: Family, attributes: Buffer): Request {
  const header = Buffer.of(addressFamily[family], 0, 0, 0);
  return {
    type: (NFNL_SUBSYS_CTNETLINK << 8) | message,
    flags,
    body: Buffer.concat([header, attributes]),
  };
}
