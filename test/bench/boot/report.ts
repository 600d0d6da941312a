/** Figures of boots, as they are kept and shown; pure. */
import { inSeconds, spread } from '../heal/report.ts';
import { median } from '../statistics.ts';

export interface Boot {
  /** From the start of the daemon's process until its API answers. */
  readonly answersMs: number;
  /** Until all containers run. */
  readonly runsMs: number;
}

const etcdStates = ['up', 'down'] as const;
export type EtcdState = (typeof etcdStates)[number];

export interface Outcome {
  readonly what: string;
  /** What it is held against, of the same round. */
  readonly against?: string;
  readonly boots: Readonly<Record<EtcdState, readonly Boot[]>>;
}

export interface Report {
  readonly measuredAt: string;
  readonly machine: { readonly kernel: string; readonly processors: number };
  /** Of the machine, over the last minute, at the end. */
  readonly load: number;
  readonly outcomes: readonly Outcome[];
}

/** Markdown: median and worst; of what is later than in another host, the median within one round. */
export function renderTable({ outcomes }: Report): string {
  const heading = [
    '| the host has | etcd | the daemon answers | all containers run | that is later by | than with | rounds |',
    '|---|---|---|---|---|---|---|',
  ];
  const rows = outcomes.flatMap(({ what, against, boots }) => {
    const other = outcomes.find((outcome) => outcome.what === against);
    return etcdStates.map((etcd) => {
      const runs = boots[etcd].map(({ runsMs }) => runsMs);
      const cells = [
        what,
        etcd,
        spread(
          boots[etcd].map(({ answersMs }) => answersMs),
          inSeconds,
        ),
        spread(runs, inSeconds),
        other === undefined ? '' : laterBy(runs, other.boots[etcd]),
        other?.what ?? '',
        runs.length,
      ];
      return `| ${cells.join(' | ')} |`.replaceAll(/ {2,}/g, ' ');
    });
  });
  return [...heading, ...rows].join('\n');
}

function laterBy(runsMs: readonly number[], others: readonly Boot[]): string {
  return inSeconds(
    median(runsMs.map((ms, round) => ms - (others[round]?.runsMs ?? Number.NaN))) ?? Number.NaN,
  );
}
