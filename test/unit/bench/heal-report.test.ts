import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  inSeconds,
  type Outcome,
  type Report,
  renderTable,
  spread,
  withOutcome,
} from '../../bench/heal/report.ts';

const ids = ['killed', 'cut-off'];
const machine = { kernel: '6.12', processors: 2 };

function outcome(id: string, ...healedMs: number[]): Outcome {
  const rounds = healedMs.map((ms) => ({
    reachedMs: ms / 2,
    healedMs: ms,
    lost: { routed: 0, vxlan: ms / 1_000 },
  }));
  return { id, name: `${id}!`, measuredAt: '2026-01-01', load: 1, rounds };
}

const roundsIn = ({ outcomes }: Report) =>
  outcomes.map(({ id, rounds }) => [id, ...rounds.map(({ healedMs }) => healedMs)]);

describe('what is kept', () => {
  const kept: Report = { machine, outcomes: [outcome('cut-off', 1_000)] };

  test('is in the order of the faults, whichever was measured first', () => {
    expect(roundsIn(withOutcome(kept, outcome('killed', 2_000), false, ids))).toEqual([
      ['killed', 2_000],
      ['cut-off', 1_000],
    ]);
  });

  test('is replaced by what is measured anew, or joined by it', () => {
    const again = outcome('cut-off', 3_000);
    expect(roundsIn(withOutcome(kept, again, false, ids))).toEqual([['cut-off', 3_000]]);
    expect(roundsIn(withOutcome(kept, again, true, ids))).toEqual([['cut-off', 1_000, 3_000]]);
  });
});

test('the table tells median and worst', () => {
  const table = renderTable({ machine, outcomes: [outcome('killed', 1_000, 9_000, 2_000)] });
  expect(table.split('\n').at(-1)).toBe(
    '| killed! | 1.0 s / 4.5 s | 2.0 s / 9.0 s | 0 / 0 | 2 / 9 | 3 | 1 |',
  );
});

test('the table shows no pings where none were sent', () => {
  const { rounds, ...killed } = outcome('killed', 1_000);
  const silent = { ...killed, rounds: rounds.map((round) => ({ ...round, lost: {} })) };
  expect(renderTable({ machine, outcomes: [silent] })).toMatch(/ \| - \| - \| 1 \| 1 \|$/);
});

describe('the figures that are shown are those that were measured', () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');
  const report: Report = JSON.parse(read('test/bench/results/heal.json'));

  test('in the table of the benchmark', () => {
    const [, shown] = /<!-- heal -->\n(.*)\n<!-- \/heal -->/s.exec(read('test/bench/README.md')) ?? [];
    expect(shown).toBe(renderTable(report));
  });

  test('and beside what happens when something fails', () => {
    const [, section = ''] = /## When something fails\n(.*?)\n### /s.exec(read('README.md')) ?? [];
    const shown = section.match(/\d+\.\d s \/ \d+\.\d s/g) ?? [];
    const measured = report.outcomes.map(({ rounds }) =>
      spread(
        rounds.map(({ healedMs }) => healedMs),
        inSeconds,
      ),
    );
    expect(shown.filter((figure) => !measured.includes(figure))).toEqual([]);
    expect(shown.length).toBeGreaterThan(5);
  });
});
