/** Measures all subjects under one condition: each once a round, in a new order every time. */
import { loadavg } from 'node:os';
import { explain } from '../../../src/errors.ts';
import { CommandError } from '../../lab/run.ts';
import { shuffled } from '../statistics.ts';
import { type Bed, bedUp } from './bed.ts';
import type { Condition } from './conditions.ts';
import { cpuSeconds } from './cpu.ts';
import { whileCrowded } from './crowd.ts';
import { type Meter, measure, type Path, type Sample, serve } from './measures.ts';
import type { Round, Stage } from './report.ts';
import type { Subject } from './subjects.ts';
import { connect } from './wiring.ts';

export interface Plan {
  readonly rounds: number;
  /** For one condition: no round begins that would end later than this, but for the first. */
  readonly limitMs: number;
  /** Of each run of a program. */
  readonly seconds: number;
  readonly random: () => number;
  readonly say: (line: string) => void;
}

export async function measureUnder(
  condition: Condition,
  subjects: readonly Subject[],
  plan: Plan,
): Promise<Stage> {
  const startMs = performance.now();
  plan.say(`${condition.title}: bringing up the hosts`);
  const bed = await bedUp(condition);
  try {
    const { paths, unavailable } = await connectAll(bed, subjects, plan.say);
    const meter = { run: bed.run, seconds: plan.seconds, cpuSeconds: () => cpuSeconds(bed.lab.name) };
    const rounds: Round[] = [];
    let longestMs = 0;
    while (rounds.length < plan.rounds) {
      const roundMs = performance.now();
      if (rounds.length > 0 && roundMs + longestMs > startMs + plan.limitMs) break;
      const load = loadavg()[0] ?? Number.NaN;
      plan.say(`${condition.title}: round ${rounds.length + 1} of ${plan.rounds}, load ${load.toFixed(1)}`);
      const samples: Record<string, Sample> = {};
      for (const subject of shuffled(subjects, plan.random)) {
        const path = paths.get(subject.name);
        if (path === undefined) continue;
        try {
          samples[subject.name] = await measureSubject(bed, meter, subject, path);
        } catch (error) {
          plan.say(`${subject.title} has no figures in this round: ${explain(error)}`);
        }
      }
      rounds.push({ load, samples });
      longestMs = Math.max(longestMs, performance.now() - roundMs);
    }
    return { condition: condition.name, measuredAt: new Date().toISOString(), rounds, unavailable };
  } finally {
    await bed.lab.down();
  }
}

/** Subjects of one wiring share a path, or the reason why there is none. */
async function connectAll(bed: Bed, subjects: readonly Subject[], say: Plan['say']) {
  const paths = new Map<string, Path>();
  const unavailable: Record<string, string> = {};
  for (const alike of Map.groupBy(subjects, ({ wiring }) => wiring).values()) {
    const [first] = alike;
    if (first === undefined) continue;
    try {
      const path = await connect(bed, first);
      await serve(bed.run, path);
      for (const { name } of alike) paths.set(name, path);
    } catch (error) {
      const reason = sentenceOf(error);
      for (const { name } of alike) unavailable[name] = reason;
      say(`${first.title} is not available: ${reason}`);
    }
  }
  return { paths, unavailable };
}

async function measureSubject(
  bed: Bed,
  meter: Meter,
  { elements = 0 }: Subject,
  path: Path,
): Promise<Sample> {
  if (elements === 0) return measure(meter, path);
  return whileCrowded(bed.weft, elements, () => measure(meter, path));
}

/** What Docker's command line says, without the words in front of the driver's own sentence. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof CommandError)) return explain(error);
  const line = error.stderr.split('\n').find((text) => text.trim() !== '') ?? error.message;
  return line.replace(/^Error response from daemon: (?:remote: )?(?:.*?(?:Network|Ipam)Driver\.\w+: )?/, '');
}
