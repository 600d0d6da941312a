/** The figures that decide, as an SVG for a page that is light or dark; pure. */
import type { MeasureName } from './measures.ts';
import { measures } from './measures.ts';
import { type Report, ratio, type Stage, value } from './report.ts';
import type { Subject } from './subjects.ts';

interface Panel {
  readonly condition: string;
  readonly measure: MeasureName;
  readonly title: string;
}

const panels: readonly Panel[] = [
  { condition: 'offload', measure: 'tcp1', title: 'TCP, 1 stream' },
  { condition: 'no-offload', measure: 'tcp1', title: 'TCP, links without tunnel offload' },
  { condition: 'jumbo-no-offload', measure: 'tcp1', title: 'TCP, the same with MTU 9000' },
  { condition: 'offload', measure: 'packets', title: 'UDP packets of 64 bytes' },
];

const reference = 'raw';

/** In pixels. */
const panel = { width: 370, labelWidth: 170, barWidth: 140, head: 44, row: 20, gap: 16 };

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 } .note { fill: #59636e }
  .bar { fill: #afb8c1 } .weft { fill: #0969da } .limit { stroke: #59636e; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 }
    .bar { fill: #59636e } .weft { fill: #4493f8 } .limit { stroke: #9198a1 }
  }`;

/** A panel a figure, two abreast; in each a bar a subject, as its part of the bare link. Panels without figures are left out. */
export function renderChart(report: Report, subjects: readonly Subject[]): string {
  const drawn = panels.flatMap((one) => {
    const stage = report.stages.find(({ condition }) => condition === one.condition);
    const bars = stage === undefined ? [] : barsOf(stage, one.measure, subjects);
    return stage === undefined || bars.length === 0 ? [] : [{ ...one, stage, bars }];
  });
  const height = panel.head + panel.row * Math.max(0, ...drawn.map(({ bars }) => bars.length)) + panel.gap;
  const [width, total] = [2 * panel.width, Math.ceil(drawn.length / 2) * height];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="${width}" height="${total}" role="img">`,
    '<title>Throughput and packet rate of container networks, as parts of the bare link</title>',
    `<style>${style}\n</style>`,
    ...drawn.flatMap(({ stage, measure, title, bars }, index) => [
      `<g transform="translate(${(index % 2) * panel.width} ${Math.floor(index / 2) * height})">`,
      ...renderPanel(title, full(stage, measure), bars),
      '</g>',
    ]),
    '</svg>\n',
  ].join('\n');
}

interface Bar {
  readonly subject: Subject;
  readonly part: number;
}

function barsOf(stage: Stage, measure: MeasureName, subjects: readonly Subject[]): Bar[] {
  return subjects.flatMap((subject) => {
    const part = ratio(stage, subject.name, reference, measure);
    const isOne = subject.variantOf === undefined && subject.name !== reference && part !== undefined;
    return isOne ? [{ subject, part }] : [];
  });
}

/** What 100 % is. */
function full(stage: Stage, measure: MeasureName): string {
  const whole = value(stage, reference, measure)?.toPrecision(3);
  return `100 % = host to host, ${whole === undefined ? '-' : Number(whole)} ${measures[measure].unit}`;
}

function renderPanel(title: string, note: string, bars: readonly Bar[]): string[] {
  const { labelWidth, barWidth, head, row } = panel;
  // Beyond the bare link only by noise; it must not run over the number.
  const longest = Math.max(1, ...bars.map(({ part }) => part));
  const length = (part: number) => ((part / longest) * barWidth).toFixed(1);
  const limit = labelWidth + Number(length(1));
  return [
    `<text class="title" x="0" y="16">${escaped(title)}</text>`,
    `<text class="note" x="0" y="33">${escaped(note)}</text>`,
    ...bars.flatMap(({ subject, part }, index) => {
      const y = head + index * row;
      const kind = subject.wiring.kind === 'network' && subject.wiring.on !== 'plain' ? 'bar weft' : 'bar';
      return [
        `<text x="${labelWidth - 8}" y="${y + 12}" text-anchor="end">${escaped(subject.title)}</text>`,
        `<rect class="${kind}" x="${labelWidth}" y="${y + 1}" width="${length(part)}" height="${row - 6}" rx="2"/>`,
        `<text x="${labelWidth + barWidth + 8}" y="${y + 12}">${Math.round(100 * part)} %</text>`,
      ];
    }),
    `<line class="limit" x1="${limit}" x2="${limit}" y1="${head - 3}" y2="${head + bars.length * row}"/>`,
  ];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
