import { expect, test } from 'vitest';
import {
  type PhaseFigures,
  type Report,
  type Round,
  renderBudgets,
  renderTable,
} from '../../bench/ipam/report.ts';

const phase = (p50Ms: number, p99Ms: number, perSecond = 1000): PhaseFigures => ({
  ...{ p50Ms, p99Ms, perSecond },
  transactionsEach: 1,
});

function stage(condition: string, rounds: readonly Round[]) {
  return { condition, rounds, bytesPerBlock: 2_000, bytes: 100_000, perPhase: 100 };
}

const report: Report = {
  measuredAt: '2026-01-01T00:00:00.000Z',
  machine: { kernel: '6.1', processors: 2 },
  bytesPer10000: 700_000,
  stages: [
    stage('20 x /16, 1 %', [
      { allocate: phase(2, 6, 900), bare: phase(2, 3), alike: phase(2, 3) },
      // Slow for all.
      { allocate: phase(20, 60, 90), bare: phase(20, 30, 100), alike: phase(20, 30, 100) },
    ]),
    stage('20 x /16, 99 %', [{ allocate: phase(3.2, 30, 600), bare: phase(2, 3), alike: phase(2, 3) }]),
  ],
};

test('a row has medians, and ratios within one round', () => {
  const [header = '', first = ''] = renderTable(report).split('\n');
  expect(header).toMatch(/^hosts x subnet +allocations\/s +p50 ms .* p50 x bare +p99 x bare$/);
  expect(first.trim().split(/ {2,}/)).toEqual([
    ...['20 x /16, 1 %', '495', '11.00', '33.00', '1.000'],
    ...['550', '11.00', '16.50', '550', '11.00', '16.50', '1.00', '2.00'],
  ]);
});

test('budgets are held against what was measured, and only that', () => {
  const lines = renderBudgets(report);
  expect(lines).toContain('met     20 x /16, 1 %: transactions each: 1.00, 1');
  expect(lines).toContain('met     20 x /16, 1 %: p50 v. bare put: 1.00, <= 1.5');
  expect(lines).toContain('MISSED  20 x /16, 99 %: p99 v. bare put: 10.00, <= 5');
  expect(lines).toContain('MISSED  20 hosts: p50 at 99 % v. at 1 %: 1.60, <= 1.3');
  expect(lines).toContain('met     20 x /16, 1 %: v. what etcd carries: 0.90, >= 0.8');
  expect(lines).toContain('MISSED  20 x /16, 99 %: v. what etcd carries: 0.60, >= 0.8');
  expect(lines.filter((line) => /\b[13] hosts/.test(line))).toEqual([]);
});
