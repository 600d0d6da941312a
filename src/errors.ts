/**
 * What can go wrong, as a closed set. A caller branches on the code; Docker's user reads the message, so
 * every message is one sentence that says what failed, for which object, why, and what to do.
 */
export type ErrorCode =
  /** The request itself is wrong: malformed, out of range, unknown option. */
  | 'invalid'
  /** It contradicts what the cluster already holds: address in use, subnet overlaps, options differ. */
  | 'conflict'
  /** It names something that does not exist. */
  | 'not-found'
  /** Nothing left to hand out. */
  | 'exhausted'
  /** The store cannot be reached, or refused to serve; nothing was changed. */
  | 'unavailable'
  /** A write was sent and its answer lost; whether it holds is unknown. */
  | 'unknown-outcome'
  /** An operation did not end within its time. */
  | 'timeout'
  /** The store refused our credentials. */
  | 'denied'
  /** The kernel refused a change. */
  | 'kernel'
  /** A defect of weft, or of the machine it runs on. */
  | 'internal';

export class WeftError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, sentence: string, options?: { cause?: unknown }) {
    super(sentence, options);
    this.name = 'WeftError';
    this.code = code;
  }
}

/** The text of anything thrown, with the texts of its causes: `what: why: why that`. */
export function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const inner = thrown instanceof AggregateError ? thrown.errors.map(explain).join('; ') : '';
  const cause = thrown.cause === undefined ? '' : explain(thrown.cause);
  return [thrown.message, inner, cause].filter((text) => text !== '').join(': ');
}
