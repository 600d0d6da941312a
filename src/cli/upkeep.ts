/** What a running weft answers to a person: how it stands, what does not agree, and what it can do about it. */
import type { RemovedHost } from '../agent/host-removal.ts';
import type { AgentStatus, Tending } from '../agent/tending.ts';
import { explain } from '../errors.ts';
import { type Comparable, compareWithDocker, type Noted } from '../observe/comparison.ts';
import type { Clock } from '../store/clock.ts';

export interface Status extends AgentStatus {
  /** Networks that are not here as on the other hosts, by Docker's name, and why. */
  readonly replication: Readonly<Record<string, string>>;
}

export interface CheckReport {
  /** Name of the host. */
  readonly host: string;
  /** A sentence each. */
  readonly disagreements: readonly string[];
  /** Why Docker was not asked; absent: it was. */
  readonly withoutDocker?: string;
}

export interface RepairReport extends CheckReport {
  /** What did not agree before, and does now. `disagreements` is what is left. */
  readonly mended: readonly string[];
}

export interface Upkeep {
  status(): Promise<Status>;
  check(): Promise<CheckReport>;
  repair(): Promise<RepairReport>;
  removeHost(wanted: string): Promise<RemovedHost>;
}

/** Longer than Docker takes for what it does in several steps, and shorter than a person's patience. */
const apartMs = 3_000;

export function upkeepOf(of: {
  readonly agent: { readonly tending: Tending; readonly ledger: Noted };
  readonly docker: Comparable;
  readonly replicationTroubles: () => ReadonlyMap<string, string>;
  readonly clock: Clock;
}): Upkeep {
  const { agent, docker, clock } = of;
  const { tending, ledger } = agent;

  async function look(): Promise<Omit<CheckReport, 'host'>> {
    const disagreements = await tending.disagreements();
    try {
      return { disagreements: [...disagreements, ...(await compareWithDocker(docker, ledger))] };
    } catch (error) {
      return { disagreements, withoutDocker: explain(error) };
    }
  }

  /** What is only under way is not the same a moment later. */
  async function check(): Promise<CheckReport> {
    const { name: host } = await tending.status();
    const first = await look();
    if (first.disagreements.length === 0) return { host, ...first };
    await clock.sleep(apartMs);
    const second = await look();
    const before = new Set(first.disagreements);
    return {
      host,
      ...second,
      disagreements: second.disagreements.filter((sentence) => before.has(sentence)),
    };
  }

  return {
    async status() {
      const replication = Object.fromEntries(of.replicationTroubles());
      return { ...(await tending.status()), replication };
    },

    check,

    async repair() {
      const before = await check();
      if (before.disagreements.length === 0) return { ...before, mended: [] };
      await tending.putRight();
      await clock.sleep(apartMs);
      await tending.putRight();
      const after = await check();
      const left = new Set(after.disagreements);
      return { ...after, mended: before.disagreements.filter((sentence) => !left.has(sentence)) };
    },

    removeHost: (wanted) => tending.removeHost(wanted),
  };
}
