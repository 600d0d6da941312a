/** `npm run bench:boot`: how long the Docker daemon takes to come back, with networks of weft and without. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { explain } from '../../../src/errors.ts';
import { clusterUp } from '../../cluster/cluster.ts';
import { isEnabled } from '../../cluster/weft-process.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../../lab/wait.ts';
import { shuffled } from '../statistics.ts';
import { type Boot, type EtcdState, type Report, renderTable } from './report.ts';
import { furnish, type Subject, subjects } from './subjects.ts';

const wholeRounds = 20;
const patienceMs = 120_000;
const file = join(import.meta.dirname, '../results/boot.json');

const usage = `Stops and starts the Docker daemons of several hosts, with etcd and without, and tells how long it takes
until they answer and all containers run; each time the plugin must be enabled, and the addresses those from before.

npm run bench:boot -- [--rounds N]

  --rounds   of each; default ${wholeRounds}, and fewer are shown but not kept

Writes test/bench/results/boot.json, after each round.`;

interface Furnished extends Subject {
  readonly host: Host;
  readonly addresses: ReadonlyMap<string, string>;
  readonly boots: Record<EtcdState, Boot[]>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(wholeRounds) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const rounds = Number(values.rounds);
  if (!(rounds >= 1)) throw new Error(`--rounds takes a number of at least 1, not ${values.rounds}`);
  const lab = await clusterUp({
    name: 'boot',
    hosts: subjects.map(({ id }) => ({ name: id, docker: '28.5' })),
  });
  try {
    for await (const report of measure(lab, rounds)) {
      console.log(`\n${renderTable(report)}`);
      if (rounds >= wholeRounds) await writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`);
    }
    if (rounds < wholeRounds) console.log(`fewer than ${wholeRounds} rounds: not kept in ${file}`);
  } finally {
    await lab.down();
  }
}

/** After each round, what has been measured by then. */
async function* measure(lab: Lab, rounds: number): AsyncGenerator<Report> {
  const furnished: Furnished[] = [];
  for (const subject of subjects) {
    const host = lab.host(subject.id);
    furnished.push({
      ...subject,
      host,
      addresses: await furnish(host, subject),
      boots: { up: [], down: [] },
    });
  }
  for (let round = 1; round <= rounds; round += 1) {
    await bootAll(furnished, 'up');
    await Promise.all(lab.etcd.members.map((member) => member.kill()));
    await bootAll(furnished, 'down');
    await lab.etcd.start();
    const [load = 0] = loadavg();
    yield {
      ...{ measuredAt: new Date().toISOString(), load },
      machine: { kernel: release(), processors: availableParallelism() },
      outcomes: furnished.map(({ what, against, boots }) => ({ what, ...(against && { against }), boots })),
    };
  }
}

async function bootAll(furnished: readonly Furnished[], etcd: EtcdState): Promise<void> {
  for (const one of shuffled(furnished, Math.random)) {
    try {
      one.boots[etcd].push(await boot(one));
    } catch (error) {
      throw new Error(`${one.what}, etcd ${etcd}: not back as it was`, { cause: error });
    }
  }
}

/** @throws where it does not come back as it was */
async function boot({ host, addresses }: Furnished): Promise<Boot> {
  await host.stopDockerd();
  const startMs = performance.now();
  await host.startDockerd();
  const answersMs = Math.round(performance.now() - startMs);
  await waitFor(
    `${addresses.size} containers run`,
    async () => (await linesOf(host, ['ps', '--quiet'])).length === addresses.size,
    patienceMs,
  );
  const runsMs = Math.round(performance.now() - startMs);
  if (!(await isEnabled(host))) throw new Error(`the plugin is not enabled on ${host.name}`);
  if (addresses.size > 0) await addressesAre(host, addresses);
  return { answersMs, runsMs };
}

async function addressesAre(host: Host, wanted: ReadonlyMap<string, string>): Promise<void> {
  const format = '{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  const lines = await linesOf(host, ['inspect', '--format', format, ...wanted.keys()]);
  for (const line of lines) {
    const [name = '', address = ''] = line.slice(1).split(' ');
    const before = wanted.get(name);
    if (address !== before) throw new Error(`${name} on ${host.name} had ${before}, and has ${address}`);
  }
}

async function linesOf(host: Host, args: readonly string[]): Promise<string[]> {
  return (await host.docker(args)).split('\n').filter((line) => line !== '');
}

try {
  await main();
} catch (error) {
  console.error(`boot: failed: ${explain(error)}`);
  process.exitCode = 1;
}
