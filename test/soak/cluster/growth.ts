/** Whether a process takes ever more of its machine, told from samples all along; pure. */
import { median } from '../../bench/statistics.ts';

export interface Sample {
  readonly rssMb: number;
  readonly files: number;
}

/** Medians of the first and the last third of the samples, warm-up left out. */
export interface Trend {
  readonly what: string;
  readonly before: number;
  readonly after: number;
  /** Up to here it is noise. */
  readonly most: number;
}

/** Share of the samples in which the heap and the connections come to their size. */
const warmUp = 1 / 4;

/** With fewer, a third is too little for a median. */
export const fewestSamples = 12;

/** Undefined where there are too few samples. */
export function trendsOf(samples: readonly Sample[]): readonly Trend[] | undefined {
  if (samples.length < fewestSamples) return undefined;
  const steady = samples.slice(Math.ceil(samples.length * warmUp));
  const third = Math.floor(steady.length / 3);
  const trend = (what: string, of: (sample: Sample) => number, noise: (before: number) => number): Trend => {
    const before = median(steady.slice(0, third).map(of)) ?? 0;
    const after = median(steady.slice(-third).map(of)) ?? 0;
    return { what, before, after, most: before + noise(before) };
  };
  return [
    // The collector of garbage lets the heap swing by about that.
    trend(
      'MB of memory',
      ({ rssMb }) => rssMb,
      (before) => before / 10,
    ),
    // Connections to the store that was just lost, and to the one that is there.
    trend(
      'open files',
      ({ files }) => files,
      () => 4,
    ),
  ];
}

export function describeTrend({ what, before, after }: Trend): string {
  return `${before} -> ${after} ${what}`;
}

/** @throws with a sentence for what has grown */
export function checkFlat(trends: readonly Trend[]): void {
  const grown = trends.filter(({ after, most }) => after > most);
  if (grown.length === 0) return;
  const sentences = grown.map(
    (trend) => `${describeTrend(trend)}, where up to ${trend.most.toFixed(1)} would be noise`,
  );
  throw new Error(`weft takes ever more of its host: ${sentences.join('; ')}`);
}
