/** What a run has found, for a terminal; pure. */
import { conditions } from './conditions.ts';
import { measureNames, measures } from './measures.ts';
import { type Report, ratio, type Stage, value } from './report.ts';
import { references, type Subject } from './subjects.ts';

/**
 * A table a condition: of each figure the median, and the medians of its ratios to the references in the same
 * round. Variants of a subject follow in a table of their own, with their ratios to it.
 */
export function renderTables(report: Report, subjects: readonly Subject[]): string {
  return report.stages
    .flatMap((stage) => {
      const has = ({ name }: Subject) =>
        name in stage.unavailable || stage.rounds.some(({ samples }) => name in samples);
      const main = subjects.filter((subject) => subject.variantOf === undefined && has(subject));
      const variants = Map.groupBy(
        subjects.filter((subject) => subject.variantOf !== undefined && has(subject)),
        ({ variantOf = '' }) => variantOf,
      );
      return [
        `${headingOf(stage)}\n${renderTable(stage, main, references)}`,
        ...Array.from(variants, ([base, rows]) => {
          const first = subjects.filter(({ name }) => name === base);
          return `${headingOf(stage)}\n${renderTable(stage, [...first, ...rows], [base])}`;
        }),
      ];
    })
    .join('\n\n');
}

function headingOf({ condition, rounds }: Stage): string {
  const title = conditions.find(({ name }) => name === condition)?.title ?? condition;
  const loads = rounds.map(({ load }) => load);
  const range = `${Math.min(...loads).toFixed(1)}-${Math.max(...loads).toFixed(1)}`;
  return `${title}: medians of ${rounds.length} rounds, load ${range}`;
}

function renderTable(stage: Stage, subjects: readonly Subject[], against: readonly string[]): string {
  const columns = measureNames.map((name) => {
    const { title, unit } = measures[name];
    return `${title}, ${unit}`;
  });
  const rows = subjects.map((subject) => {
    const reason = stage.unavailable[subject.name];
    if (reason !== undefined) return [subject.title, `not available: ${reason}`];
    const cells = measureNames.map((measure) => {
      const ratios = against.map((reference) => decimals(ratio(stage, subject.name, reference, measure), 2));
      return [figure(value(stage, subject.name, measure)), ...ratios.map((text) => text.padStart(6))].join(
        '',
      );
    });
    return [subject.title, ...cells];
  });
  const header = [`(${against.map((reference) => `x ${reference}`).join(', ')})`, ...columns];
  const lines = [header, ...rows];
  const widths = header.map((_, index) =>
    // A reason runs on through all columns.
    Math.max(...lines.map((cells) => (index > 0 && cells.length === 2 ? 0 : (cells[index]?.length ?? 0)))),
  );
  return lines
    .map((cells) => cells.map((cell, index) => pad(cell, index, widths[index] ?? 0)).join('  '))
    .map((line) => `  ${line.trimEnd()}`)
    .join('\n');
}

const pad = (cell: string, column: number, width: number) =>
  column === 0 || cell.startsWith('not available') ? cell.padEnd(width) : cell.padStart(width);

/** Three digits tell more than enough here. */
function figure(value: number | undefined): string {
  if (value === undefined) return '-';
  return decimals(value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

const decimals = (value: number | undefined, digits: number) =>
  value === undefined ? '-' : value.toFixed(digits);
