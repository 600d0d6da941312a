/** One condition: rounds in which hosts allocate and, in random order with that, put bare records. */
import type { Store } from '../../../src/store/store.ts';
import { quantile, shuffled } from '../statistics.ts';
import type { Condition } from './conditions.ts';
import { bytesBelow, fill } from './fill.ts';
import { type HostProcess, type Together, tellAll } from './host-process.ts';
import type { Phase, Round, Stage } from './report.ts';

export interface Plan {
  readonly rounds: number;
  /** Of all hosts together in one phase, where the subnet has room for so many. */
  readonly perPhase: number;
  readonly random: () => number;
}

/** Bytes of a record that is next to nothing. */
const bareBytes = 100;

export async function measureUnder(
  condition: Condition,
  on: { readonly store: Store; readonly hosts: readonly HostProcess[]; readonly root: string },
  plan: Plan,
): Promise<Stage> {
  const { store, root } = on;
  const { subnet, used } = condition;
  const hosts = on.hosts.slice(0, condition.hosts);
  const free = 2 ** (32 - Number(subnet.split('/')[1])) - used;
  const perHost = Math.floor(Math.min(plan.perPhase, free * 0.9) / hosts.length);

  await tellAll(hosts, () => ({ do: 'open', root, subnet }));
  const filled = await fill(store, root, {
    ...{ subnet, used, room: perHost * hosts.length },
    hosts: hosts.map(({ id }) => id),
  });
  await tellAll(hosts, () => ({ do: 'hear', revision: String(filled.revision) }));
  const bytes = await bytesBelow(store, root);

  const phases: Readonly<Record<Phase, () => Promise<Together>>> = {
    allocate: () => tellAll(hosts, () => ({ do: 'allocate', count: perHost })),
    bare: () =>
      tellAll(hosts, ({ id }) => ({ do: 'put', count: perHost, bytes: bareBytes, key: `/bare/${id}` })),
    alike: () =>
      tellAll(hosts, ({ id }) => {
        return { do: 'put', count: perHost, bytes: filled.bytesPerBlock, key: `/alike/${id}` };
      }),
  };

  async function round(): Promise<Round> {
    const figures = new Map<Phase, Together>();
    for (const phase of shuffled(['allocate', 'bare', 'alike'] as const, plan.random)) {
      figures.set(phase, await phases[phase]());
      if (phase === 'allocate') await tellAll(hosts, () => ({ do: 'release' }));
    }
    return {
      allocate: summary(figures.get('allocate')),
      bare: summary(figures.get('bare')),
      alike: summary(figures.get('alike')),
    };
  }

  // The first allocations of a process take longer.
  await round();
  const rounds: Round[] = [];
  while (rounds.length < plan.rounds) rounds.push(await round());
  return { condition: condition.name, bytesPerBlock: filled.bytesPerBlock, bytes, perPhase: perHost, rounds };
}

function summary(together: Together | undefined): Round[Phase] {
  if (together === undefined) throw new Error('a phase was left out');
  const { latenciesMs, perSecond, transactions } = together;
  return {
    perSecond,
    p50Ms: quantile(latenciesMs, 0.5) ?? Number.NaN,
    p99Ms: quantile(latenciesMs, 0.99) ?? Number.NaN,
    transactionsEach: transactions / latenciesMs.length,
  };
}
