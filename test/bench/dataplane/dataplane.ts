/** `npm run bench:dataplane`: what a network costs beside the bare link, and beside Docker's own networks. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { explain } from '../../../src/errors.ts';
import { docker } from './bed.ts';
import { renderBudgets } from './budgets.ts';
import { renderChart } from './chart.ts';
import { conditions } from './conditions.ts';
import type { Report, Stage } from './report.ts';
import { measureUnder } from './rounds.ts';
import { subjects } from './subjects.ts';
import { renderTables } from './table.ts';

const usage = `Measures networks side by side, between real Docker hosts on this machine: rounds, in random order.

npm run bench:dataplane -- [--quick] [--rounds N] [--only NAME,NAME]

  --quick    short runs, and no more rounds than fit into 5 minutes
  --rounds   default 9; forty minutes or more
  --only     conditions (${conditions.map(({ name }) => name).join(', ')}),
             subjects (${subjects.map(({ name }) => name).join(', ')}), or both

Writes test/bench/results/dataplane.json and .svg, where the figures of the conditions that were measured take the
place of older ones; fewer rounds or subjects, or a quick run, write dataplane-partial.* there.`;

const wholeRounds = 9;
/** Leaves time to clean up, and for the machine to be slower than usual. */
const quickMs = 270_000;
const folder = join(import.meta.dirname, '../results');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const only = values.only?.split(',') ?? [];
  const chosen = choose(only, values.quick);
  const plan = {
    rounds: roundsFrom(values.rounds ?? String(wholeRounds)),
    seconds: values.quick ? 1 : 2,
    limitMs: values.quick ? quickMs / chosen.conditions.length : Number.POSITIVE_INFINITY,
    random: Math.random,
    say,
  };

  const stages: Stage[] = [];
  for (const condition of chosen.conditions) {
    // Variants differ in what does not depend on the link.
    const isFirst = condition === conditions[0];
    const those = chosen.subjects.filter(({ variantOf }) => variantOf === undefined || isFirst);
    try {
      stages.push(await measureUnder(condition, those, plan));
    } catch (error) {
      // What the other conditions have taken half an hour to tell is not lost.
      say(`${condition.title}: failed: ${explain(error)}`);
      process.exitCode = 1;
    }
  }
  const report: Report = {
    machine: { kernel: release(), processors: availableParallelism(), docker },
    seconds: plan.seconds,
    stages,
  };
  const isWhole = chosen.subjects.length === subjects.length && !values.quick && plan.rounds >= wholeRounds;
  console.log(`\n${renderTables(report, subjects)}\n\n${renderBudgets(report).join('\n')}`);
  await save(report, isWhole);
}

function roundsFrom(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds ${text}: must be a whole number from 1`);
  return rounds;
}

/** Of conditions and of subjects those that are named; of the kind of which none is, those of such a run. */
function choose(names: readonly string[], quick: boolean) {
  const known = [...conditions, ...subjects].map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`--only: there is no ${unknown}; there are: ${known.join(', ')}`);
  const among = <T extends { readonly name: string }>(items: readonly T[], others: readonly T[]) => {
    const named = items.filter(({ name }) => names.includes(name));
    return named.length === 0 ? others : named;
  };
  return {
    conditions: among(
      conditions,
      conditions.filter((condition) => condition.quick || !quick),
    ),
    subjects: among(subjects, subjects),
  };
}

/** Only whole rounds take the place of the figures that the project shows, condition by condition. */
async function save(measured: Report, isWhole: boolean): Promise<void> {
  const name = join(folder, isWhole ? 'dataplane' : 'dataplane-partial');
  const report = isWhole ? withOthers(measured, await shown(`${name}.json`)) : measured;
  await mkdir(folder, { recursive: true });
  await writeFile(`${name}.json`, `${JSON.stringify(report, rounded, 1)}\n`);
  await writeFile(`${name}.svg`, renderChart(report, subjects));
  say(`wrote ${name}.json and .svg`);
}

/** Ratios are within a condition: those measured at other times are none the worse for it. */
function withOthers(measured: Report, before: readonly Stage[]): Report {
  const stages = conditions.flatMap(({ name }) => {
    const isIt = ({ condition }: Stage) => condition === name;
    return measured.stages.find(isIt) ?? before.find(isIt) ?? [];
  });
  return { ...measured, stages };
}

async function shown(file: string): Promise<readonly Stage[]> {
  const json = await readFile(file, 'utf8').catch(() => undefined);
  const report: Report | undefined = json === undefined ? undefined : JSON.parse(json);
  return report?.stages ?? [];
}

/** Digits that the clocks do not give. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}

function say(line: string): void {
  const seconds = Math.round(performance.now() / 1000);
  process.stderr.write(`[${String(seconds).padStart(4)} s] ${line}\n`);
}

try {
  await main();
} catch (error) {
  console.error(`bench: failed: ${explain(error)}`);
  process.exitCode = 1;
}
