import { describe, expect, test } from 'vitest';
import { checkFlat, fewestSamples, type Sample, trendsOf } from '../../soak/cluster/growth.ts';
import { randomFrom } from '../../soak/random.ts';

function samples(count: number, at: (index: number) => Sample): Sample[] {
  return Array.from({ length: count }, (_, index) => at(index));
}

function verdictOn(measured: readonly Sample[]): () => void {
  const trends = trendsOf(measured);
  if (trends === undefined) throw new Error('too few samples');
  return () => checkFlat(trends);
}

describe('what a process takes of its host', () => {
  test('is flat where it swings, even by a lot now and then', () => {
    const random = randomFrom(1);
    const swinging = samples(60, (index) => ({
      rssMb: 90 + (random() - 0.5) * 10 + (index % 10 === 0 ? 60 : 0),
      files: 40 + Math.floor(random() * 3) + (index % 7 === 0 ? 20 : 0),
    }));
    expect(verdictOn(swinging)).not.toThrow();
  });

  test('is flat where it grew at the beginning only', () => {
    const warming = samples(40, (index) => ({ rssMb: Math.min(60 + index * 5, 100), files: 40 }));
    expect(verdictOn(warming)).not.toThrow();
  });

  test.each([
    { what: 'memory', at: (n: number) => ({ rssMb: 90 + n, files: 40 }), says: /\d -> \d.* MB of memory/ },
    { what: 'files', at: (n: number) => ({ rssMb: 90, files: 40 + Math.floor(n / 4) }), says: /open files/ },
  ])('grows where $what does, slowly but all along', ({ at, says }) => {
    expect(verdictOn(samples(40, at))).toThrow(says);
  });

  test('has both named where both grow', () => {
    expect(verdictOn(samples(40, (n) => ({ rssMb: 90 + n, files: 40 + n })))).toThrow(
      /memory.*; .*open files/,
    );
  });

  test('is not judged by too few samples', () => {
    const flat = { rssMb: 90, files: 40 };
    expect(trendsOf(samples(fewestSamples - 1, () => flat))).toBeUndefined();
    expect(trendsOf(samples(fewestSamples, () => flat))).toHaveLength(2);
  });
});
