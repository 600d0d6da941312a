/**
 * `npm run soak`: three hosts with containers that come and go, faults at random, and after each storm a calm in which
 * everything must become whole again. The weft of the first host is never ended: what it takes of the machine must not grow.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { explain } from '../../../src/errors.ts';
import { median, shuffled } from '../../bench/statistics.ts';
import { bothFabrics, clusterUp, createNetwork, termsOf } from '../../cluster/cluster.ts';
import { pidOfWeft } from '../../cluster/weft-process.ts';
import type { Fault } from '../../fault/faults.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../../lab/wait.ts';
import { randomFrom } from '../random.ts';
import { attachedOn, comeAndGo, removeDead, removePassing } from './containers.ts';
import { keepEvidence } from './evidence.ts';
import { faultsAround, faultsOf, faultsOfStore } from './faults.ts';
import { checkFlat, describeTrend, fewestSamples, type Sample, trendsOf } from './growth.ts';
import { checkAgreed, checkUnique, checkWhole } from './invariants.ts';

const usage = `npm run soak -- [--minutes N | --cycles N] [--seed N] [--only TEXT]

  --minutes   default 60; the bringing up of the hosts comes on top
  --cycles    instead, until so many containers were started and removed again
  --seed      of what is chosen: which faults, when, and which containers; not of how long anything takes
  --only      faults whose name has the text in it`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    cycles: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

const stormMs = 20_000;
const lookMs = 3_000;
const patienceMs = 180_000;

const tally = { storms: 0, faults: 0, started: 0, removed: 0, looks: 0 };
const healMs: number[] = [];
const samples: Sample[] = [];

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  console.log(`seed ${seed}`);
  const random = randomFrom(seed);
  const lab = await clusterUp({
    name: 'soak',
    hosts: [
      { name: 'h1', docker: '28.5' },
      { name: 'h2', docker: '26.1' },
      { name: 'h3', docker: '20.10' },
    ],
    settings: { WEFT_RESYNC_SECONDS: '5' },
  });
  try {
    for (const network of bothFabrics) {
      for (const host of lab.hosts) await createNetwork(host, network.name, termsOf(network));
    }
    const endMs = performance.now() + minutes * 60_000;
    const isOver = () =>
      values.cycles === undefined ? performance.now() >= endMs : tally.removed >= Number(values.cycles);
    while (!isOver()) await stormAndCalm(lab, random);
    checkFlat(trendsOf(samples) ?? []);
    console.log(`soak: ${seconds(performance.now())}, seed ${seed}, ${report()}: no violation`);
  } catch (error) {
    console.log(`soak: seed ${seed}, ${report()}: VIOLATED: ${explain(error)}`);
    console.log(`what the hosts were like is in ${await keepEvidence(lab, seed)}`);
    process.exitCode = 1;
  } finally {
    await lab.down();
  }
}

async function stormAndCalm(lab: Lab, random: () => number): Promise<void> {
  const struck = choose(lab, random);
  tally.storms += 1;
  tally.faults += struck.length;
  const storm = AbortSignal.timeout(stormMs);
  const [traffic, heals] = await Promise.all([
    Promise.all(lab.hosts.map((host) => comeAndGo(host, random, storm))),
    Promise.all(struck.map((fault) => strikeDuring(fault, random))),
    watchAddresses(lab, storm),
  ]);
  for (const { started, removed } of traffic) {
    tally.started += started;
    tally.removed += removed;
  }

  const calmMs = performance.now();
  await Promise.all(heals.map((heal) => heal()));
  await lab.etcd.healthy();
  const names = struck.map(({ name }) => name).join(', ');
  let containers = 0;
  await waitFor(
    `all is whole after: ${names}`,
    async () => {
      await Promise.all(lab.hosts.map(removeDead));
      await Promise.all(lab.hosts.map(removePassing));
      containers = (await checkWhole(lab)).length;
      for (const host of lab.hosts) await checkAgreed(host);
      return true;
    },
    patienceMs,
  );
  const tookMs = performance.now() - calmMs;
  healMs.push(tookMs);
  const [first] = lab.hosts;
  const sample = first && (await sampleOf(first));
  if (sample !== undefined) samples.push(sample);
  say(
    `${names}: ${containers} containers whole after ${seconds(tookMs)}; ${sample?.rssMb} MB, ${sample?.files} files`,
  );
}

/** One or two, on different machines. */
function choose(lab: Lab, random: () => number): Fault[] {
  const [first, ...others] = lab.hosts;
  if (first === undefined) throw new Error('the lab has hosts');
  const machines = [
    faultsOfStore(lab),
    faultsAround(lab, first),
    ...others.map((host) => [...faultsAround(lab, host), ...faultsOf(host)]),
  ];
  const count = random() < 0.5 ? 1 : 2;
  const named = machines.map((faults) => faults.filter(({ name }) => name.includes(values.only)));
  const chosen = named.filter((faults) => faults.length > 0);
  if (chosen.length === 0) {
    const names = new Set(machines.flat().map(({ name }) => name));
    throw new Error(`no fault has "${values.only}" in its name; there are: ${[...names].join(', ')}`);
  }
  return shuffled(chosen, random)
    .slice(0, count)
    .flatMap((faults) => shuffled(faults, random).slice(0, 1));
}

/** @returns what takes it back */
async function strikeDuring(fault: Fault, random: () => number): Promise<() => Promise<void>> {
  await delay(random() * (stormMs / 2));
  return fault.strike();
}

/** As far as the hosts answer: an address rests for longer than it takes to ask them all. */
async function watchAddresses({ hosts }: Lab, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const answers = await Promise.all(hosts.map((host) => attachedOn(host).catch(() => [])));
    checkUnique(answers.flat());
    tally.looks += 1;
    await delay(lookMs, undefined, { signal }).catch(() => undefined);
  }
}

async function sampleOf(host: Host): Promise<Sample> {
  const pid = await pidOfWeft(host);
  const script = `grep VmRSS /proc/${pid}/status; ls /proc/${pid}/fd | wc -l`;
  const [, rssKb, files] = /(\d+) kB\s+(\d+)/.exec(await host.exec(['sh', '-c', script])) ?? [];
  return { rssMb: Math.round(Number(rssKb) / 1024), files: Number(files) };
}

function report(): string {
  const { storms, faults, started, removed, looks } = tally;
  const trends = trendsOf(samples)?.map(describeTrend);
  return [
    `${storms} storms, ${faults} faults, ${started} containers started, ${removed} removed`,
    `addresses looked at ${looks} times`,
    `whole again after ${seconds(median(healMs) ?? 0)} (median), ${seconds(Math.max(0, ...healMs))} (worst)`,
    trends === undefined
      ? `too short to tell whether weft grows (${fewestSamples} calms are needed)`
      : `weft: ${trends.join(', ')} (medians of the first and last third after warm-up)`,
  ].join(', ');
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function say(line: string): void {
  console.log(`[${String(Math.round(performance.now() / 1000)).padStart(5)} s] ${line}`);
}

await main();
