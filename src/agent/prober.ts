/**
 * Finds out, and keeps finding out, whether packets with addresses of containers pass between this host and
 * others as they are. It asks from such an address, and the other answers from it: so both ways are tried, with
 * nothing of this host's own address in them. As long as that is not answered, it asks from its own address as
 * well, to tell a network that drops from a host that does not answer.
 *
 * The container's packets never wait for it: what it holds true now is what the next pass routes by.
 */
import { explain } from '../errors.ts';
import type { Clock } from '../store/clock.ts';
import {
  afterRound,
  isAssumed,
  isInDoubt,
  type Passage,
  type Round,
  roundsToTurn,
  settledPassage,
  unknownPassage,
} from './passage.ts';
import type { ProbeMessage } from './probe-message.ts';
import { ProbePort, type ProbePortOptions } from './probe-port.ts';

/** Another host, and how to find out about it: by probes from this address, or not at all. */
export interface ProbeTarget {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly probe: { readonly source: string } | { readonly impossible: string };
}

export interface ProberOptions extends ProbePortOptions {
  readonly targets: () => Promise<readonly ProbeTarget[]>;
  /** The way to a host is to be another from now on. */
  readonly turned: () => void;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** 16 hex digits that cannot be guessed. */
  readonly randomNumber: () => string;
}

/** Between two looks at who is to be asked, and the time an answer has. */
export const roundMs = 500;
/** Between two questions to a host about which there is no doubt. */
const calmMs = 2_000;

interface Question {
  readonly number: string;
  /** Whether it was answered from there. */
  foreign: boolean;
  own: boolean;
}

interface Trial {
  passage: Passage;
  question?: Question;
  /** Questions in succession that were not answered from an address of containers. */
  misses: number;
  dueMs: number;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #port: ProbePort;
  readonly #trials = new Map<string, Trial>();
  /** Open questions, by number. */
  readonly #asked = new Map<string, { readonly target: ProbeTarget; readonly question: Question }>();
  #targets: readonly ProbeTarget[] = [];
  #targetsDueMs = 0;
  #wake = new AbortController();

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#port = new ProbePort(options, (answer, source) => this.#hear(answer, source));
  }

  /** What is held of the way to a host. */
  passage(hostId: string): Passage {
    return this.#trials.get(hostId)?.passage ?? unknownPassage(this.#options.wallMs());
  }

  /** Takes over what an earlier weft has found out about a host. */
  recall(hostId: string): void {
    const reason = 'they did before weft started anew';
    const passage = settledPassage(undefined, true, reason, this.#options.wallMs());
    this.#trials.set(hostId, { passage, misses: 0, dueMs: 0 });
  }

  /** There may be others to ask than before: asks them now. */
  look(): void {
    this.#targetsDueMs = 0;
    this.#wake.abort();
  }

  /** Ends with the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let trouble: string | undefined;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      try {
        await this.round();
        trouble = undefined;
      } catch (error) {
        const reason = explain(error);
        if (reason !== trouble) log.warn({ reason }, 'cannot probe the ways to other hosts; trying again');
        trouble = reason;
      }
      await clock.sleep(roundMs, AbortSignal.any([signal, this.#wake.signal]));
    }
    this.#port.close();
  }

  /** Judges what the last questions brought, and asks the next. */
  async round(): Promise<void> {
    const { clock, targets } = this.#options;
    const nowMs = clock.now();
    if (nowMs >= this.#targetsDueMs) {
      this.#targetsDueMs = nowMs + calmMs;
      this.#targets = await targets();
      this.#forgetOthers();
      this.#port.listen();
    }
    for (const target of this.#targets) {
      const trial = this.#trialOf(target);
      if (nowMs < trial.dueMs) continue;
      this.#hold(target, trial, this.#judge(target, trial));
      this.#ask(target, trial);
      trial.dueMs = nowMs + (isUrgent(trial) ? roundMs : calmMs);
    }
  }

  #trialOf({ id }: ProbeTarget): Trial {
    const known = this.#trials.get(id);
    if (known !== undefined) return known;
    const trial: Trial = { passage: unknownPassage(this.#options.wallMs()), misses: 0, dueMs: 0 };
    this.#trials.set(id, trial);
    return trial;
  }

  #judge({ probe }: ProbeTarget, trial: Trial): Passage {
    const { passage, question } = trial;
    const nowMs = this.#options.wallMs();
    if ('impossible' in probe) return settledPassage(passage, false, probe.impossible, nowMs);
    // What the routes decided does not hold for what is to be probed from now on.
    if (question === undefined) return passage.passes ? passage : unknownPassage(nowMs);
    return afterRound(passage, roundOf(question), nowMs);
  }

  #ask(target: ProbeTarget, trial: Trial): void {
    const { probe, address } = target;
    const last = trial.question;
    if (last !== undefined) {
      trial.misses = last.foreign ? 0 : trial.misses + 1;
      this.#asked.delete(last.number);
      delete trial.question;
    }
    if ('impossible' in probe) return;
    const number = this.#options.randomNumber();
    const question = { number, foreign: false, own: false };
    trial.question = question;
    this.#asked.set(number, { target, question });
    this.#port.ask('foreign', { number, source: probe.source, to: address });
    if (last?.foreign === true) return;
    this.#port.ask('own', { number, source: this.#options.ownAddress(), to: address });
  }

  #hear({ from, number }: ProbeMessage, source: string): void {
    const asked = this.#asked.get(number);
    if (asked === undefined) return;
    const { address, probe } = asked.target;
    const expected = from === 'own' ? address : 'source' in probe && probe.source;
    if (source !== expected) return;
    asked.question[from] = true;
    if (from === 'foreign') this.#settle(asked.target);
  }

  /**
   * The first answer counts at once: a container that talks meanwhile learns the smaller MTU of the tunnel, and
   * the kernel remembers that for ten minutes (net/ipv4/route.c, mtu_expires).
   */
  #settle(target: ProbeTarget): void {
    const trial = this.#trials.get(target.id);
    if (trial === undefined || trial.passage.decided) return;
    this.#hold(target, trial, afterRound(trial.passage, 'passed', this.#options.wallMs()));
  }

  #forgetOthers(): void {
    const ids = new Set(this.#targets.map(({ id }) => id));
    for (const [id, { question }] of this.#trials) {
      if (ids.has(id)) continue;
      this.#trials.delete(id);
      if (question !== undefined) this.#asked.delete(question.number);
    }
  }

  #hold({ name, address }: ProbeTarget, trial: Trial, passage: Passage): void {
    const before = trial.passage;
    trial.passage = passage;
    const { passes, reason } = passage;
    if (reason !== before.reason) {
      const how = passes
        ? 'packets to a host may go as they are'
        : 'packets to a host are to be encapsulated';
      this.#options.log.info({ host: name, address, reason }, how);
    }
    if (passes !== before.passes || isAssumed(passage) !== isAssumed(before)) this.#options.turned();
  }
}

/** A host that never answers, or a network that never lets pass, is not asked more often for that. */
function isUrgent({ passage, misses }: Trial): boolean {
  return misses === 0 ? isInDoubt(passage) : misses <= roundsToTurn;
}

function roundOf({ foreign, own }: { readonly foreign: boolean; readonly own: boolean }): Round {
  if (foreign) return 'passed';
  return own ? 'dropped' : 'silent';
}
