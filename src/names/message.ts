/** Questions and answers as they travel (RFC 1035, RFC 6891). */
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  encodingLength,
  type OptAnswer,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { RecordType } from './zone.ts';

/** One question of the ordinary kind. */
export interface Query {
  readonly id: number;
  /** As written by who asks: so it is repeated. */
  readonly question: Question;
  readonly recursionDesired: boolean;
  /** Present when who asks knows EDNS: bytes of the largest answer that it takes by UDP. */
  readonly udpBytes?: number;
}

export interface Data {
  readonly type: RecordType;
  readonly data: string;
}

/** Short, since a container that is asked for may be gone by the next question; and asking again is cheap. */
const ttlSeconds = 5;

const responseBit = 0x8000;
const opcodeBits = 0x7800;
const plainUdpBytes = 512;
/** What goes through any network in one piece. */
const mostUdpBytes = 1232;
const mostTcpBytes = 65_535;

/** Undefined for whatever else it is: then others may know what to answer. */
export function readQuery(bytes: Buffer): Query | undefined {
  if (!isOrdinary(bytes)) return undefined;
  const packet = decoded(bytes);
  const [question] = packet?.questions ?? [];
  if (packet === undefined || question === undefined) return undefined;
  if (question.class !== undefined && question.class !== 'IN') return undefined;
  const edns = packet.additionals?.find((record) => record.type === 'OPT');
  if (edns !== undefined && edns.ednsVersion !== 0) return undefined;
  return {
    id: bytes.readUInt16BE(0),
    question,
    recursionDesired: ((packet.flags ?? 0) & RECURSION_DESIRED) !== 0,
    ...(edns !== undefined && { udpBytes: edns.udpPayloadSize }),
  };
}

/**
 * By its header: a question, and perhaps what EDNS adds. To be seen before anything is decoded, since 64 KB can name
 * more records, each by a pointer to a long name, than can be read while others wait.
 */
function isOrdinary(bytes: Buffer): boolean {
  if (bytes.length < 12 || (bytes.readUInt16BE(2) & (responseBit | opcodeBits)) !== 0) return false;
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  return questions === 1 && answers === 0 && authorities === 0 && (additionals ?? 0) <= 1;
}

/** What does not fit is left out, and that said, so that it is asked for again by TCP. No data: there is none. */
export function renderAnswer(query: Query, data: readonly Data[], over: 'udp' | 'tcp'): Buffer {
  const { question, udpBytes = plainUdpBytes } = query;
  const { name } = question;
  const all = data.map(
    (one): Answer => ({ type: one.type, name, data: one.data, ttl: ttlSeconds, class: 'IN' }),
  );
  let room = over === 'tcp' ? mostTcpBytes : Math.max(plainUdpBytes, Math.min(udpBytes, mostUdpBytes));
  room -= encodingLength(packetOf(query, []));
  const overflow = all.findIndex((answer) => {
    room -= encodingLength({ answers: [answer] }) - encodingLength({});
    return room < 0;
  });
  if (overflow === -1) return encode(packetOf(query, all));
  return encode(packetOf(query, all.slice(0, overflow), TRUNCATED_RESPONSE));
}

function packetOf({ id, question, recursionDesired, udpBytes }: Query, answers: Answer[], flags = 0): Packet {
  const asked = recursionDesired ? RECURSION_DESIRED : 0;
  return {
    type: 'response',
    id,
    flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | asked | flags,
    questions: [question],
    answers,
    ...(udpBytes !== undefined && { additionals: [ownEdns] }),
  };
}

const ownEdns: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: mostUdpBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

function decoded(bytes: Buffer): Packet | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}
