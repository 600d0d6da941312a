/**
 * What hosts ask and answer each other to find out what passes between them, one line of text a datagram:
 *
 *     weft1 ask foreign 0123456789ab 5f0d6a3b1c2e4f70
 *
 * `foreign`: sent from an address of containers; `own`: from the host's. The id is that of the host that asks.
 * The number is random: who cannot read what passes between the hosts cannot answer in place of one.
 */
export interface ProbeMessage {
  readonly kind: 'ask' | 'answer';
  readonly from: 'foreign' | 'own';
  readonly asker: string;
  /** 16 hex digits, new for each question. */
  readonly number: string;
}

const pattern =
  /^weft1 (?<kind>ask|answer) (?<from>foreign|own) (?<asker>[0-9a-f]{12}) (?<number>[0-9a-f]{16})$/;

export function renderProbe({ kind, from, asker, number }: ProbeMessage): Buffer {
  return Buffer.from(`weft1 ${kind} ${from} ${asker} ${number}`);
}

/** Undefined for what is none. */
export function parseProbe(bytes: Buffer): ProbeMessage | undefined {
  const { kind, from, asker = '', number = '' } = pattern.exec(bytes.toString('latin1'))?.groups ?? {};
  if (kind !== 'ask' && kind !== 'answer') return undefined;
  return { kind, from: from === 'own' ? 'own' : 'foreign', asker, number };
}
