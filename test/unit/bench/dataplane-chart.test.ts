import { expect, test } from 'vitest';
import { renderChart } from '../../bench/dataplane/chart.ts';
import { subjects } from '../../bench/dataplane/subjects.ts';
import { report } from './dataplane-report.ts';

const chart = renderChart(report, subjects);

/** Text content, in order, and widths of bars. */
const texts = Array.from(chart.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, text]) => text);
const widths = Array.from(chart.matchAll(/<rect[^>]* width="([\d.]+)"/g), ([, width]) => Number(width));

test('a panel for each figure that was measured, with a bar for each subject but the reference', () => {
  expect(texts).toEqual([
    ...['TCP, 1 stream', '100 % = host to host, 15 Gbit/s'],
    ...['Docker overlay', '50 %', 'weft routed', '80 %'],
    ...['UDP packets of 64 bytes', '100 % = host to host, 90 kpps'],
    ...['Docker overlay', '42 %', 'weft routed', '67 %'],
  ]);
});

test('bars are as long as their parts', () => {
  const [overlay = 0, routed = 0] = widths;
  expect(routed / overlay).toBeCloseTo(80 / 50);
});

test('it is well-formed, stands alone and knows the dark', () => {
  const opened = Array.from(chart.matchAll(/<([a-z]+)(?:\s[^>]*)?(?<!\/)>/g), ([, tag]) => tag);
  const closed = Array.from(chart.matchAll(/<\/([a-z]+)>/g), ([, tag]) => tag);
  expect(opened.toSorted()).toEqual(closed.toSorted());
  expect(chart).toContain('prefers-color-scheme: dark');
  expect(chart.match(/https?:[^"]*/g)).toEqual(['http://www.w3.org/2000/svg']);
});

test('no bar leaves its panel, even if a network was faster than the bare link', () => {
  const [stage] = report.stages;
  const [round] = stage?.rounds ?? [];
  const { raw, overlay } = round?.samples ?? {};
  if (stage === undefined || round === undefined || raw === undefined || overlay === undefined)
    throw new Error();
  const faster = { ...round, samples: { raw, overlay, macvlan: { ...raw, tcp1: 2 * raw.tcp1 } } };
  const drawn = renderChart({ ...report, stages: [{ ...stage, rounds: [faster] }] }, subjects);
  const longest = Math.max(
    ...Array.from(drawn.matchAll(/<rect[^>]* width="([\d.]+)"/g), ([, w]) => Number(w)),
  );
  expect(longest).toBe(140);
});
