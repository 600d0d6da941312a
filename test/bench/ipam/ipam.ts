/** `npm run bench:ipam`: what it costs to allocate an address, beside what etcd itself takes for one transaction. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Etcd3 } from 'etcd3';
import { explain } from '../../../src/errors.ts';
import { openEtcdStore } from '../../../src/store/etcd.ts';
import { startEtcd } from '../../contract/etcd-server.ts';
import { onInterrupt } from '../../lab/interrupt.ts';
import { conditions } from './conditions.ts';
import { bytesBelow, fill } from './fill.ts';
import { type HostProcess, startHost } from './host-process.ts';
import { type Report, renderBudgets, renderTable, type Stage } from './report.ts';
import { measureUnder } from './rounds.ts';

const usage = `Allocates addresses on 1, 3 and 20 hosts, each a process of its own, on a real etcd.

npm run bench:ipam -- [--quick] [--rounds N] [--only TEXT] [--no-fsync]

  --quick    1 and 3 hosts, short rounds: a minute
  --rounds   default 7; some minutes
  --only     conditions whose name has the text in it, as "1 x /16"
  --no-fsync etcd does not wait for the disk: all that weft adds shows

Writes test/bench/results/ipam.json, or ipam-no-fsync.json; a run that is not whole writes ipam-partial.json there.`;

const wholeRounds = 7;
const folder = join(import.meta.dirname, '../results');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: String(wholeRounds) },
      only: { type: 'string', default: '' },
      'no-fsync': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(usage);
  const plan = values.quick
    ? { rounds: 3, perPhase: 400, random: Math.random }
    : { rounds: Number(values.rounds), perPhase: 2_000, random: Math.random };
  const chosen = conditions.filter(
    ({ hosts, name }) => (!values.quick || hosts < 20) && name.includes(values.only),
  );
  if (chosen.length === 0) throw new Error(`no condition has "${values.only}" in its name`);

  // The history of a run is larger than the quota that etcd has by itself.
  const etcd = await startEtcd([
    '--quota-backend-bytes=8589934592',
    `--unsafe-no-fsync=${values['no-fsync']}`,
  ]);
  onInterrupt(() => etcd.remove());
  const store = openEtcdStore({ endpoints: [etcd.endpoint] });
  const admin = new Etcd3({ hosts: etcd.endpoint });
  const hosts: HostProcess[] = [];
  try {
    for (let index = 1; index <= Math.max(...chosen.map((condition) => condition.hosts)); index += 1) {
      hosts.push(startHost(`h${index}`, etcd.endpoint));
    }
    await fill(store, '/size/', { subnet: '10.77.0.0/16', used: 10_000, room: 0, hosts: ['h1'] });
    const bytesPer10000 = await bytesBelow(store, '/size/');
    const stages: Stage[] = [];
    for (const [index, condition] of chosen.entries()) {
      const root = `/bench-${index}/`;
      stages.push(await measureUnder(condition, { store, hosts, root }, plan));
      const cleared = await store.transact({ conditions: [], writes: [{ deletePrefix: root }] });
      if (cleared.outcome === 'committed') await admin.kv.compact({ revision: String(cleared.revision) });
      say(`${condition.name} is measured`);
    }
    const report: Report = {
      measuredAt: new Date().toISOString(),
      machine: { kernel: release(), processors: availableParallelism() },
      ...{ bytesPer10000, stages },
    };
    console.log(`\n${renderTable(report)}\n\n${bytesPer10000} bytes in etcd for 10,000 addresses\n`);
    console.log(renderBudgets(report).join('\n'));
    const isWhole = chosen.length === conditions.length && plan.rounds >= wholeRounds;
    await save(report, !isWhole ? 'ipam-partial' : values['no-fsync'] ? 'ipam-no-fsync' : 'ipam');
  } finally {
    for (const host of hosts) host.end();
    admin.close();
    await store.close();
    await etcd.remove();
  }
}

/** Only a whole run takes the place of the figures that the project shows. */
async function save(report: Report, as: 'ipam' | 'ipam-no-fsync' | 'ipam-partial'): Promise<void> {
  const name = join(folder, `${as}.json`);
  await mkdir(folder, { recursive: true });
  await writeFile(name, `${JSON.stringify(report, rounded, 1)}\n`);
  say(`wrote ${name}`);
}

/** Digits that the clocks do not give. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}

function say(line: string): void {
  process.stderr.write(`[${String(Math.round(performance.now() / 1000)).padStart(4)} s] ${line}\n`);
}

try {
  await main();
} catch (error) {
  console.error(`bench: failed: ${explain(error)}`);
  process.exitCode = 1;
}
