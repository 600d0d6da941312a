/**
 * What is held of the way to another host, round of probing by round: do packets with the addresses of
 * containers pass, or not? Pure. One lost datagram changes nothing, and a host that does not answer at all
 * (its weft is down, its firewall closed) says nothing about the way: what was held is held on to.
 */

export interface Passage {
  readonly passes: boolean;
  /** For people: completes "because". */
  readonly reason: string;
  /** Milliseconds since 1970: when it began to be so, for this reason. */
  readonly sinceMs: number;
  /** Whether probes, or the kernel's routes, have ever told; else `passes` is only the safe assumption. */
  readonly decided: boolean;
  /** Rounds in succession that told the opposite; where nothing is decided, that told nothing. */
  readonly doubts: number;
}

/** What one round told: the probe was answered; or only a packet of the host's own was; or nothing. */
export type Round = 'passed' | 'dropped' | 'silent';

/** Rounds in succession that it takes to change what was decided. */
export const roundsToTurn = 3;

const reasons = {
  passed: 'packets with addresses of containers arrive there, and from there here',
  dropped: 'the network between drops packets with addresses of containers',
  silent: 'its weft does not answer to probes, which is not known to mean anything yet',
} as const satisfies Record<Round, string>;

export function unknownPassage(nowMs: number): Passage {
  return { passes: false, reason: 'not probed yet', sinceMs: nowMs, decided: false, doubts: 0 };
}

/** Decided by something else than probing. */
export function settledPassage(
  before: Passage | undefined,
  passes: boolean,
  reason: string,
  nowMs: number,
): Passage {
  if (before?.decided && before.passes === passes && before.reason === reason) return before;
  return { passes, reason, sinceMs: nowMs, decided: true, doubts: 0 };
}

export function afterRound(before: Passage, round: Round, nowMs: number): Passage {
  if (round === 'silent') {
    if (before.decided) return before;
    const { silent: reason } = reasons;
    const sinceMs = before.reason === reason ? before.sinceMs : nowMs;
    return { ...before, reason, sinceMs, doubts: before.doubts + 1 };
  }
  const passes = round === 'passed';
  const doubts = before.decided && before.passes !== passes ? before.doubts + 1 : 0;
  if (doubts > 0 && doubts < roundsToTurn) return { ...before, doubts };
  return settledPassage({ ...before, doubts: 0 }, passes, reasons[round], nowMs);
}

/** Whether nothing has been found out, and may yet be: a host that stays silent is one to encapsulate to. */
export function isAssumed({ decided, doubts }: Passage): boolean {
  return !decided && doubts < roundsToTurn;
}

/** Worth another look soon. */
export function isInDoubt({ decided, doubts }: Passage): boolean {
  return !decided || doubts > 0;
}
