/** Figures of healing, as they are kept and shown; pure. */
import { median, quantile } from '../statistics.ts';

export interface Round {
  /** Until all containers reach each other, and the kernels hold what they did. */
  readonly reachedMs: number;
  /** Until new containers work on each host as well. */
  readonly healedMs: number;
  /** Of pings every 10 ms, by fabric; empty where none could be sent. */
  readonly lost: Readonly<Record<string, number>>;
}

export interface Outcome {
  readonly id: string;
  readonly name: string;
  readonly measuredAt: string;
  /** Of the machine, over the last minute of the last round. */
  readonly load: number;
  readonly rounds: readonly Round[];
}

export interface Report {
  readonly machine: { readonly kernel: string; readonly processors: number };
  readonly outcomes: readonly Outcome[];
}

/** A new outcome takes the place of the earlier one, or joins it; in the order of `ids`. */
export function withOutcome(
  report: Report,
  outcome: Outcome,
  joins: boolean,
  ids: readonly string[],
): Report {
  const earlier = report.outcomes.find(({ id }) => id === outcome.id);
  const rounds = [...(joins && earlier ? earlier.rounds : []), ...outcome.rounds];
  const others = report.outcomes.filter(({ id }) => id !== outcome.id);
  const outcomes = [...others, { ...outcome, rounds }];
  return { ...report, outcomes: outcomes.toSorted((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id)) };
}

/** Markdown. */
export function renderTable({ outcomes }: Report): string {
  const heading = [
    '| what happens | all reach all after | new containers too | pings lost, routed | pings lost, vxlan | rounds | load |',
    '|---|---|---|---|---|---|---|',
  ];
  const rows = outcomes.map(({ name, rounds, load }) => {
    const times = (of: (round: Round) => number) => spread(rounds.map(of), inSeconds);
    const losses = (fabric: string) => {
      const counts = rounds.flatMap(({ lost }) => lost[fabric] ?? []);
      return counts.length === 0 ? '-' : spread(counts, String);
    };
    const cells = [
      times(({ reachedMs }) => reachedMs),
      times(({ healedMs }) => healedMs),
      losses('routed'),
      losses('vxlan'),
    ];
    return `| ${[name, ...cells, rounds.length, Math.round(load)].join(' | ')} |`;
  });
  return [...heading, ...rows].join('\n');
}

/** Median and worst. */
export function spread(values: readonly number[], show: (value: number) => string): string {
  return [median(values), quantile(values, 1)].map((value) => show(value ?? Number.NaN)).join(' / ');
}

export function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
