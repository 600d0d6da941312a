import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Report, renderTable } from '../../bench/boot/report.ts';

const boots = (...runsMs: number[]) => runsMs.map((ms) => ({ answersMs: ms - 100, runsMs: ms }));

test('the table tells median and worst, and how much later it is in the same round', () => {
  const report: Report = {
    ...{ measuredAt: '2026-01-01', machine: { kernel: '6.12', processors: 2 }, load: 1 },
    outcomes: [
      { what: 'little', boots: { up: boots(1_000, 9_000, 1_000), down: boots(2_000, 2_000, 2_000) } },
      {
        ...{ what: 'much', against: 'little' },
        boots: { up: boots(1_500, 9_500, 3_000), down: boots(1_800, 1_800, 5_000) },
      },
    ],
  };
  expect(renderTable(report).split('\n').slice(2)).toEqual([
    '| little | up | 0.9 s / 8.9 s | 1.0 s / 9.0 s | | | 3 |',
    '| little | down | 1.9 s / 1.9 s | 2.0 s / 2.0 s | | | 3 |',
    '| much | up | 2.9 s / 9.4 s | 3.0 s / 9.5 s | 0.5 s | little | 3 |',
    '| much | down | 1.7 s / 4.9 s | 1.8 s / 5.0 s | -0.2 s | little | 3 |',
  ]);
});

test('the figures that are shown are those that were measured', () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, '../../bench', file), 'utf8');
  const report: Report = JSON.parse(read('results/boot.json'));
  const [, shown] = /<!-- boot -->\n(.*)\n<!-- \/boot -->/s.exec(read('README.md')) ?? [];
  expect(shown).toBe(renderTable(report));
});
