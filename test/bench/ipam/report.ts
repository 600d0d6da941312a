/** What a run has found, for a terminal, and held against what weft sets itself to reach; pure. */
import { median, medianRatio } from '../statistics.ts';
import { extremes, hostCounts } from './conditions.ts';

/**
 * `bare`: as small a record as may be. `alike`: one as large as a block's. Of neither is anybody told, nor of blocks.
 */
export type Phase = 'allocate' | 'bare' | 'alike';

/** Of all hosts together. */
export interface PhaseFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly transactionsEach: number;
}

export type Round = Readonly<Record<Phase, PhaseFigures>>;

export interface Stage {
  readonly condition: string;
  readonly bytesPerBlock: number;
  /** In the store, of all that is in use. */
  readonly bytes: number;
  /** By each host in each phase. */
  readonly perPhase: number;
  readonly rounds: readonly Round[];
}

export interface Report {
  readonly measuredAt: string;
  readonly machine: { readonly kernel: string; readonly processors: number };
  readonly bytesPer10000: number;
  readonly stages: readonly Stage[];
}

const value = ({ rounds }: Stage, phase: Phase, figure: keyof PhaseFigures): number =>
  median(rounds.map((round) => round[phase][figure])) ?? Number.NaN;

/** Of the figure while allocating to that of the other phase, in the same round. */
const ratio = ({ rounds }: Stage, to: Phase, figure: keyof PhaseFigures): number =>
  medianRatio(
    rounds.map(({ allocate }) => allocate[figure]),
    rounds.map((round) => round[to][figure]),
  ) ?? Number.NaN;

export function renderTable({ stages }: Report): string {
  const header = [
    ...['hosts x subnet', 'allocations/s', 'p50 ms', 'p99 ms', 'txns each'],
    ...['bare/s', 'p50 ms', 'p99 ms', 'alike/s', 'p50 ms', 'p99 ms', 'p50 x bare', 'p99 x bare'],
  ];
  const rows = stages.map((stage) => [
    stage.condition,
    ...cells(stage, 'allocate'),
    value(stage, 'allocate', 'transactionsEach').toFixed(3),
    ...cells(stage, 'bare'),
    ...cells(stage, 'alike'),
    ratio(stage, 'bare', 'p50Ms').toFixed(2),
    ratio(stage, 'bare', 'p99Ms').toFixed(2),
  ]);
  const lines = [header, ...rows];
  const widths = header.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

function cells(stage: Stage, phase: Phase): string[] {
  return [
    value(stage, phase, 'perSecond').toFixed(0),
    value(stage, phase, 'p50Ms').toFixed(2),
    value(stage, phase, 'p99Ms').toFixed(2),
  ];
}

/** A line for each budget. */
export function renderBudgets(report: Report): string[] {
  const { stages } = report;
  const verdict = (isMet: boolean, what: string, reached: number, rule: string) =>
    `${isMet ? 'met   ' : 'MISSED'}  ${what}: ${reached.toFixed(2)}, ${rule}`;
  const each = stages.flatMap((stage) => {
    const [p50, p99] = [ratio(stage, 'bare', 'p50Ms'), ratio(stage, 'bare', 'p99Ms')];
    const transactions = value(stage, 'allocate', 'transactionsEach');
    return [
      verdict(transactions <= 1.005, `${stage.condition}: transactions each`, transactions, '1'),
      verdict(p50 <= 1.5, `${stage.condition}: p50 v. bare put`, p50, '<= 1.5'),
      verdict(p99 <= 5, `${stage.condition}: p99 v. bare put`, p99, '<= 5'),
    ];
  });
  const named = (name: string) => stages.find(({ condition }) => condition === name);
  const flat = hostCounts.flatMap((hosts) => {
    const { emptiest, fullest } = extremes(hosts);
    const [low, high] = [named(emptiest), named(fullest)];
    if (low === undefined || high === undefined) return [];
    // Each to the bare puts of its own time.
    const growth = ratio(high, 'bare', 'p50Ms') / ratio(low, 'bare', 'p50Ms');
    return [verdict(growth <= 1.3, `${hosts} hosts: p50 at 99 % v. at 1 %`, growth, '<= 1.3')];
  });
  const crowd = stages.filter(({ condition }) => condition.startsWith(`${Math.max(...hostCounts)} x`));
  const scale = crowd.map((stage) => {
    const reached = ratio(stage, 'alike', 'perSecond');
    return verdict(reached >= 0.8, `${stage.condition}: v. what etcd carries`, reached, '>= 0.8');
  });
  return [...each, ...flat, ...scale];
}
