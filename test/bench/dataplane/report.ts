/** What a run has found: as it is written to disk, and as it is asked. */
import { median, medianRatio } from '../statistics.ts';
import type { MeasureName, Sample } from './measures.ts';

export interface Round {
  /** Processes that wanted to run on this machine before it began, average of a minute. */
  readonly load: number;
  /** By subject; one that failed in this round is absent. */
  readonly samples: Readonly<Record<string, Sample>>;
}

export interface Stage {
  readonly condition: string;
  readonly measuredAt: string;
  readonly rounds: readonly Round[];
  /** By subject: why it was not measured. */
  readonly unavailable: Readonly<Record<string, string>>;
}

export interface Report {
  readonly machine: { readonly kernel: string; readonly processors: number; readonly docker: string };
  /** Of each run of a program. */
  readonly seconds: number;
  readonly stages: readonly Stage[];
}

export function value(stage: Stage, subject: string, measure: MeasureName): number | undefined {
  return median(valuesOf(stage, subject, measure));
}

export function ratio(
  stage: Stage,
  subject: string,
  reference: string,
  measure: MeasureName,
): number | undefined {
  return medianRatio(valuesOf(stage, subject, measure), valuesOf(stage, reference, measure));
}

function valuesOf({ rounds }: Stage, subject: string, measure: MeasureName): (number | undefined)[] {
  return rounds.map(({ samples }) => samples[subject]?.[measure]);
}
