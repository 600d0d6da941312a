/** Hosts with weft, each beside a Docker of its own, on one store. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect } from 'vitest';
import { type Docker, type DockerEvent, dockerAt } from '../../../src/observe/docker.ts';
import { followDocker } from '../../../src/observe/follow.ts';
import { type Replication, startReplication } from '../../../src/observe/replicator.ts';
import { systemClock } from '../../../src/store/clock.ts';
import { mirroring } from '../../../src/store/mirror.ts';
import type { Notice, Store } from '../../../src/store/store.ts';
import { FakeDocker } from '../../fakes/docker.ts';
import { FakeStore } from '../../fakes/store.ts';
import { startHost, type WeftHost } from '../agent/weft-host.ts';

export const blue = { Name: 'blue', Driver: 'weft', IPAM: { Driver: 'weft-ipam' } };
export const patience = { timeout: 15_000, interval: 20 };

/** Dies around its `at`th change of something shared: before it takes effect, or after, and before weft knows. */
export interface Death {
  readonly at: number;
  readonly when: 'before' | 'after';
}

export class Machine {
  readonly docker = new FakeDocker();
  weft: WeftHost;
  replication: Replication | undefined;
  /** weft is dead because of `Death`. */
  isDead = false;
  deaths = 0;
  resyncMs = 250;
  /** Docker has answered whether a network is used, and weft has not heard it yet. */
  onUsed: () => Promise<void> = async () => undefined;
  /** weft has heard an event. */
  onHeard: (event: DockerEvent) => void = () => undefined;
  /** Nothing that weft writes gets to the store until this resolves. */
  writing = Promise.resolve();
  /** Nor does it hear of what happens there until this does. */
  hearing = Promise.resolve();
  /** Keys that weft has read in the store itself. */
  readonly read = new Set<string>();
  #stop = new AbortController();

  constructor(number: number) {
    const transact: Store['transact'] = async (transaction) => {
      await this.writing;
      return store.transact(transaction);
    };
    const get: Store['get'] = (key) => {
      this.read.add(key);
      return store.get(key);
    };
    const watch = (prefix: string, signal: AbortSignal) => this.#heard(store.watch(prefix, signal));
    this.weft = startHost({ ...mirroring(store, () => []), transact, get, watch }, number);
  }

  start(death?: Death): void {
    this.#stop = new AbortController();
    this.isDead = false;
    const signal = this.#stop.signal;
    let changes = 0;
    const mortal =
      <A extends unknown[], R>(change: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        changes += 1;
        const isLast = changes === death?.at;
        if (isLast && death?.when === 'before') this.#die();
        if (this.isDead) throw new Error('weft is dead');
        const result = await change(...args);
        if (isLast) this.#die();
        if (this.isDead) throw new Error('weft is dead');
        return result;
      };
    const { docker, weft } = this;
    const real = dockerAt(docker.socketPath);
    const api: Docker = {
      ...real,
      createNetwork: mortal(real.createNetwork),
      removeNetwork: mortal(real.removeNetwork),
      isUsed: async (...references) => {
        const answer = await real.isUsed(...references);
        await this.onUsed();
        return answer;
      },
      events: async (signal) => this.#told(await real.events(signal)),
    };
    const { publish, renounce, resume, discard, ...reads } = weft.recipes;
    const recipes = {
      ...reads,
      publish: mortal(publish),
      renounce: mortal(renounce),
      resume: mortal(resume),
      discard: mortal(discard),
    };
    docker.plugin = weft;
    const observing = {
      docker: api,
      resyncMs: this.resyncMs,
      clock: systemClock,
      random: () => 0,
      log: pino({ level: 'silent' }),
      signal,
    };
    this.replication = startReplication({ ...observing, agent: { ...weft, recipes } });
    void followDocker({ ...observing, listeners: [this.replication] });
  }

  /** weft is down; Docker calls it in vain. */
  stop(): void {
    this.#stop.abort();
    this.docker.plugin = undefined;
  }

  /** The machine is off. */
  async turnOff(): Promise<void> {
    this.stop();
    await this.weft.close();
  }

  async restart(): Promise<void> {
    this.stop();
    this.weft = await this.weft.restart();
    this.start();
  }

  async remove(): Promise<void> {
    this.stop();
    await this.weft.remove();
    await this.docker.remove();
  }

  async *#heard(notices: AsyncIterable<Notice>): AsyncGenerator<Notice> {
    for await (const notice of notices) {
      await this.hearing;
      yield notice;
    }
  }

  async *#told(events: AsyncIterable<DockerEvent>): AsyncGenerator<DockerEvent> {
    for await (const event of events) {
      yield event;
      this.onHeard(event);
    }
  }

  #die(): void {
    this.isDead = true;
    this.deaths += 1;
    this.#stop.abort();
  }
}

export let store: FakeStore;
export let machines: Machine[];

export async function boot(number: number, death?: Death): Promise<Machine> {
  const machine = new Machine(number);
  await machine.docker.start();
  machine.start(death);
  machines.push(machine);
  return machine;
}

/** Each test has a store and machines of its own. */
export function useMachines(): void {
  beforeEach(() => {
    store = new FakeStore();
    machines = [];
  });

  afterEach(async () => {
    for (const machine of machines) await machine.remove();
  });
}

export const namesEverywhere = () => machines.map(({ docker }) => docker.names());
export const everywhere = (...names: string[]) => machines.map(() => names);

/** All hosts come to have these networks, and only these. */
export async function settlesOn(...names: string[]): Promise<void> {
  await expect.poll(namesEverywhere, patience).toEqual(everywhere(...names));
}

export const subnetsOf = (name: string) =>
  machines.map(({ docker }) =>
    docker
      .network(name)
      ?.subnets.map(({ Subnet }) => Subnet)
      .join(),
  );
