/** Netlink messages: a header of 16 bytes, then a fixed struct by type, then attributes (RFC 3549). */
import { errnoName } from '../errno.ts';
import { aligned, decodeAttributes, readText } from './attribute.ts';

export interface Request {
  readonly type: number;
  readonly flags: number;
  /** The fixed struct and the attributes. */
  readonly body: Buffer;
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** Flags; several share a bit, being for different kinds of request. */
export const NLM_F = {
  REQUEST: 0x1,
  ACK: 0x4,
  DUMP_INTERRUPTED: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCLUSIVE: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const headerBytes = 16;

export function encodeMessage({ type, flags, body }: Request, sequence: number): Buffer {
  const bytes = Buffer.alloc(aligned(headerBytes + body.length));
  bytes.writeUInt32LE(headerBytes + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags | NLM_F.REQUEST, 6);
  bytes.writeUInt32LE(sequence, 8);
  body.copy(bytes, headerBytes);
  return bytes;
}

export function decodeMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  let offset = 0;
  while (offset + headerBytes <= bytes.length) {
    const length = bytes.readUInt32LE(offset);
    if (length < headerBytes) break;
    messages.push({
      type: bytes.readUInt16LE(offset + 4),
      flags: bytes.readUInt16LE(offset + 6),
      sequence: bytes.readUInt32LE(offset + 8),
      body: bytes.subarray(offset + headerBytes, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

/** How the kernel ends its answer: errno 0 is success; `text` is its own words, where it has any. */
export interface Verdict {
  readonly errno: number;
  readonly text?: string;
}

/** Undefined for a message that is content, not the end of an answer. */
export function decodeVerdict({ type, flags, body }: Message): Verdict | undefined {
  if (type !== NLMSG_ERROR && type !== NLMSG_DONE) return undefined;
  const errno = Math.abs(body.readInt32LE(0));
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno };
  // An ack echoes the request's header, and all of the request unless it is capped.
  const echoed = type === NLMSG_DONE ? 0 : flags & NLM_F_CAPPED ? headerBytes : body.readUInt32LE(4);
  const words = decodeAttributes(body.subarray(4 + aligned(echoed))).get(NLMSGERR_ATTR_MSG);
  return words === undefined ? { errno } : { errno, text: readText(words) };
}

/** `Nexthop has invalid gateway (ENETUNREACH)`. */
export function explainVerdict({ errno, text }: Verdict): string {
  const name = errnoName(errno);
  return text === undefined ? name : `${text.replace(/\.$/, '')} (${name})`;
}
