/** `npm run bench:heal`: how long it takes after a fault until all is as if it had not been. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { explain } from '../../../src/errors.ts';
import { type Cluster, wholeCluster } from './cluster.ts';
import {
  inSeconds,
  type Outcome,
  type Report,
  type Round,
  renderTable,
  spread,
  withOutcome,
} from './report.ts';
import { type Trial, trials } from './trials.ts';

const ids = trials.map(({ id }) => id);

const usage = `Strikes two hosts with one fault after the other, and tells how long it takes to heal.

npm run bench:heal -- [--rounds N] [--only FAULT,...] [--add]

  --rounds   of each fault; default 20, and fewer are shown but not kept
  --only     of ${ids.join(', ')}
  --add      keep the rounds beside those of earlier runs, however few, and not in their place

Writes test/bench/results/heal.json.`;

const wholeRounds = 20;
/** Between two full passes, as it is by itself. */
const resyncMs = 30_000;
const file = join(import.meta.dirname, '../results/heal.json');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(wholeRounds) },
      only: { type: 'string', default: ids.join(',') },
      add: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const asked = values.only.split(',');
  const unknown = asked.filter((id) => !ids.includes(id));
  if (unknown.length > 0)
    throw new Error(`there is no fault ${unknown.join(', ')}; there are: ${ids.join(', ')}`);
  const rounds = Number(values.rounds);
  if (!(rounds >= 1)) throw new Error(`--rounds takes a number of at least 1, not ${values.rounds}`);

  let measured = emptyReport;
  const cluster = await wholeCluster(resyncMs);
  try {
    for (const trial of trials.filter(({ id }) => asked.includes(id))) {
      const outcome = await outcomeOf(trial, cluster, rounds);
      measured = withOutcome(measured, outcome, false, ids);
      if (rounds >= wholeRounds || values.add) await keep(outcome, values.add);
    }
  } finally {
    await cluster.lab.down();
  }
  console.log(`\n${renderTable(measured)}\n`);
  if (rounds < wholeRounds && !values.add)
    console.log(`fewer than ${wholeRounds} rounds: not kept in ${file}`);
  console.log(`heal: ${asked.length} faults, ${rounds} rounds of each: all healed`);
}

const emptyReport: Report = {
  machine: { kernel: release(), processors: availableParallelism() },
  outcomes: [],
};

async function keep(outcome: Outcome, joins: boolean): Promise<void> {
  const kept = await readFile(file, 'utf8').then(JSON.parse, () => emptyReport);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `${JSON.stringify(withOutcome(kept, outcome, joins, ids), undefined, 2)}\n`);
}

async function outcomeOf(trial: Trial, cluster: Cluster, count: number): Promise<Outcome> {
  const place = { lab: cluster.lab, host: cluster.struck };
  const { name: what } = trial.fault(place);
  const name = trial.lasts === undefined ? what : `${what}: when that ends`;
  const rounds: Round[] = [];
  while (rounds.length < count) {
    try {
      rounds.push(await roundOf(trial, cluster));
    } catch (error) {
      throw new Error(`${name}, round ${rounds.length + 1}: not healed`, { cause: error });
    }
  }
  say(
    `${name}: ${spread(
      rounds.map(({ healedMs }) => healedMs),
      inSeconds,
    )}`,
  );
  const [load = 0] = loadavg();
  return { id: trial.id, name, measuredAt: new Date().toISOString(), load, rounds };
}

async function roundOf({ fault, lasts, otherWay, startsAnew }: Trial, cluster: Cluster): Promise<Round> {
  const place = { lab: cluster.lab, host: cluster.struck };
  const pinging = startsAnew ? undefined : cluster.ping();
  // By then the first have been sent.
  await pause(1_000);
  const end = await fault(place).strike();
  await lasts?.(place);
  const startMs = performance.now();
  if (lasts) await end();
  await cluster.reachesAll();
  if (!otherWay) await cluster.holdsAll();
  const reachedMs = Math.round(performance.now() - startMs);
  await cluster.startsNew();
  const healedMs = Math.round(performance.now() - startMs);
  const lost = (await pinging?.end()) ?? {};
  if (!lasts) await end();
  await cluster.removesNew();
  await cluster.reachesAll();
  await cluster.holdsAll();
  return { reachedMs, healedMs, lost };
}

function say(line: string): void {
  process.stderr.write(`[${String(Math.round(performance.now() / 1000)).padStart(4)} s] ${line}\n`);
}

try {
  await main();
} catch (error) {
  console.error(`heal: failed: ${explain(error)}`);
  process.exitCode = 1;
}
