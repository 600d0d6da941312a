import { expect, test } from 'vitest';
import { renderBudgets } from '../../bench/dataplane/budgets.ts';
import { subjects } from '../../bench/dataplane/subjects.ts';
import { renderTables } from '../../bench/dataplane/table.ts';
import { report } from './dataplane-report.ts';

const cellsOf = (line: string | undefined) => line?.trim().split(/ {2,}/).slice(0, 4);
const tables = renderTables(report, subjects)
  .split('\n\n')
  .map((table) => table.split('\n'));

test('a row has medians, and ratios to both references in the same round', () => {
  const [main = []] = tables;
  expect(main[0]).toBe('MTU 1500: medians of 2 rounds, load 0.5-2.5');
  expect(cellsOf(main[1])).toEqual([
    '(x raw, x overlay)',
    'TCP, 1 stream, Gbit/s',
    'TCP, 4 streams, Gbit/s',
    'UDP, 64 bytes, kpps',
  ]);
  expect(cellsOf(main.find((line) => line.includes('weft routed')))).toEqual([
    'weft routed',
    '12.0',
    '0.80',
    '1.60',
  ]);
});

test('columns stand below each other', () => {
  const [main = []] = tables;
  const rows = main.slice(1).filter((line) => !line.includes('not available'));
  expect(new Set(rows.map((line) => line.length)).size).toBe(1);
});

test('what was refused says why, what was not asked for is not there', () => {
  const text = tables.flat().join('\n');
  expect(text).toContain('weft vxlan          not available: there is <no> such fabric');
  expect(text).not.toContain('macvlan');
});

test('variants are compared with what they vary', () => {
  const [, variants = []] = tables;
  expect(variants[1]).toContain('(x routed)');
  expect(variants).toHaveLength(4);
  // 72/80 and 20/40.
  expect(variants[3]).toMatch(/10,000 in the sets .* 46\.0 {2}0\.70 /);
});

test('budgets are held against what was measured, and only that', () => {
  const lines = renderBudgets(report);
  expect(lines).toContain('met     offload: routed v. raw, TCP, 1 stream: 0.80, >= 0.7');
  expect(lines).toContain('MISSED  offload: routed v. overlay, CPU, TCP 1: 1.00, <= 0.7');
  expect(lines).toContain('MISSED  offload: routed-10000 v. routed, UDP, 64 bytes: 0.70, >= 0.8');
  expect(lines.filter((line) => /vxlan|hand-made|jumbo/.test(line))).toEqual([]);
});
