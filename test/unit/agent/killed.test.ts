/**
 * weft killed inside a call of Docker's, at each of its steps: before the step takes effect, and after it. Docker
 * takes the call for failed and goes on as it does then, with the weft that it starts next.
 */
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Agent } from '../../../src/agent/agent.ts';
import { containerEnd, hostEnd } from '../../../src/model/names.ts';
import { records } from '../../../src/model/records.ts';
import type { FakeKernel } from '../../fakes/kernel.ts';
import { Life, mortalKernel, mortalStore } from '../../fakes/mortal.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  freshKernel,
  keys,
  keysIn,
  letPass,
  resyncMs,
  startWeft,
  useTestTime,
  withoutLength,
} from './weft-host.ts';

useTestTime();

const network = 'd1';
const subnet = '10.77.0.0/16';
const port = { protocol: 6, port: 80, hostPort: 8080, hostPortEnd: 8080 };

/** What Docker has been told, and so would ask to be taken away. */
interface Docker {
  readonly options: Readonly<Record<string, string>>;
  readonly kernel: FakeKernel;
  poolId: string;
  hasNetwork: boolean;
  /** By EndpointID, its address. */
  readonly containers: Map<string, string>;
}

const endpoint = 'c1'.padEnd(64, '0');
const key = { network, endpoint };

/** `docker network create`, `run -p`, `rm -f`, `network rm`: each call, and what Docker does when it fails. */
const story: readonly {
  readonly name: string;
  readonly call: (weft: Agent, docker: Docker) => Promise<unknown>;
  readonly failed: readonly string[];
}[] = [
  {
    name: 'RequestPool',
    call: async ({ addresses }, docker) => {
      docker.poolId = (await addresses.requestPool({ pool: subnet, options: {}, family: 4 })).poolId;
    },
    failed: [],
  },
  {
    name: 'RequestAddress of the gateway',
    call: ({ addresses }, { poolId }) => addresses.requestAddress({ poolId, purpose: 'gateway' }),
    failed: ['ReleasePool'],
  },
  {
    name: 'CreateNetwork',
    call: async (weft, docker) => {
      const pools = [{ cidr: subnet, gateway: '10.77.0.1/16' }];
      await weft.network.createNetwork({ id: network, options: docker.options, internal: false, pools });
      docker.hasNetwork = true;
    },
    failed: ['ReleaseAddress of the gateway', 'ReleasePool'],
  },
  {
    name: 'RequestAddress',
    call: async ({ addresses }, docker) => {
      const address = await addresses.requestAddress({ poolId: docker.poolId, purpose: 'other' });
      docker.containers.set(endpoint, address);
    },
    failed: [],
  },
  {
    name: 'CreateEndpoint',
    call: (weft, { containers }) =>
      weft.network.createEndpoint({ ...key, addresses: [containers.get(endpoint) ?? ''] }),
    failed: ['ReleaseAddress'],
  },
  {
    name: 'Join',
    call: (weft) => weft.network.join({ ...key, sandbox: '/run/docker/netns/c1' }),
    failed: ['DeleteEndpoint', 'ReleaseAddress'],
  },
  {
    name: 'ProgramExternalConnectivity',
    call: (weft) => weft.network.publish(key, [port]),
    failed: ['Leave', 'DeleteEndpoint', 'ReleaseAddress'],
  },
  {
    name: 'RevokeExternalConnectivity',
    call: (weft) => weft.network.unpublish(key),
    failed: ['Leave', 'DeleteEndpoint', 'ReleaseAddress'],
  },
  { name: 'Leave', call: (weft) => weft.network.leave(key), failed: ['DeleteEndpoint', 'ReleaseAddress'] },
  { name: 'DeleteEndpoint', call: (weft) => weft.network.deleteEndpoint(key), failed: ['ReleaseAddress'] },
  {
    name: 'ReleaseAddress',
    call: async ({ addresses }, docker) => {
      const address = withoutLength(docker.containers.get(endpoint) ?? '');
      docker.containers.delete(endpoint);
      await addresses.releaseAddress(docker.poolId, address);
    },
    failed: [],
  },
  {
    name: 'ReleaseAddress of the gateway',
    call: ({ addresses }, { poolId }) => addresses.releaseAddress(poolId, '10.77.0.1'),
    failed: ['ReleasePool', 'DeleteNetwork'],
  },
  {
    name: 'ReleasePool',
    call: ({ addresses }, { poolId }) => addresses.releasePool(poolId),
    failed: ['DeleteNetwork'],
  },
  {
    name: 'DeleteNetwork',
    call: (weft, docker) => {
      docker.hasNetwork = false;
      return weft.network.deleteNetwork(network);
    },
    failed: [],
  },
];

/** The daemon has been killed, and says no more of the container than that it is to be started again, by `--ip`. */
const afterCrash: (typeof story)[number] = {
  name: 'RequestAddress after a crash of Docker',
  call: async ({ addresses }, { kernel, poolId, containers }) => {
    kernel.endLink(endpoint);
    const address = containers.get(endpoint) ?? '';
    const request = { poolId, address: withoutLength(address), purpose: 'other' } as const;
    expect(await addresses.requestAddress(request)).toBe(address);
  },
  failed: ['RequestAddress after a crash of Docker'],
};
const beforeCrash = story.slice(
  0,
  story.findIndex(({ name }) => name === 'RevokeExternalConnectivity'),
);

const plays = [
  ...story.map((step, index) => ({ ...step, before: story.slice(0, index) })),
  { ...afterCrash, before: beforeCrash },
];

async function tell(name: string, weft: Agent, docker: Docker): Promise<void> {
  const call = plays.find((step) => step.name === name)?.call;
  if (call === undefined) throw new Error(`there is no ${name}`);
  await call(weft, docker);
}

/** One host: its store, kernel and disk outlive the weft on it. */
class Machine {
  readonly store = new FakeStore();
  readonly kernel: FakeKernel = freshKernel();
  #disk = mkdtempSync(join(tmpdir(), 'weft-killed-'));
  life = new Life();

  start(): Agent {
    const life = new Life();
    this.life = life;
    const [store, kernel] = [mortalStore(this.store, life), mortalKernel(this.kernel, life)];
    return startWeft({ store, kernel, stateDir: this.#disk, number: 1 });
  }

  /** What the dead process still writes does not find its folder any more. */
  die(): void {
    this.life.end();
    const kept = mkdtempSync(join(tmpdir(), 'weft-killed-'));
    renameSync(this.#disk, kept);
    this.#disk = kept;
  }

  remove(): void {
    this.die();
    rmSync(this.#disk, { recursive: true });
  }

  /** Everything of Docker's doing that store, ledger and kernel hold. */
  async held() {
    const { entries } = await this.store.list(keys.root);
    const valuesOf = (kind: string) =>
      entries.filter(({ key }) => keys.parse(key)?.kind === kind).map(({ value }) => value);
    const blocks = valuesOf('block').map(records.block.parse);
    const files = (kind: string) =>
      readdirSync(join(this.#disk, 'ledger', kind)).filter((name) => name.endsWith('.json'));
    const spaces = this.kernel.everywhere();
    const links = spaces.flatMap((space) => space.links().map(({ name }) => name));
    return {
      networks: valuesOf('participant').flatMap((value) => records.participant.parse(value).dockerNetworks),
      pools: valuesOf('reference').length,
      endpoints: valuesOf('endpoint').map((value) => records.endpoint.parse(value).id),
      assigned: blocks.flatMap(({ assigned }) => Object.keys(assigned)).length,
      inLedger: ['networks', 'pools', 'endpoints'].map((kind) => files(kind).length),
      veths: links.filter((name) => /h$/.test(name)),
      containerEnds: spaces.flatMap((space) => space.containerEnds().filter((name) => /c$/.test(name))),
      ports: [...this.kernel.heldPorts],
    };
  }
}

describe.each([
  { 'weft.fabric': 'routed', 'weft.gateway': 'on' },
  { 'weft.fabric': 'vxlan', 'weft.gateway': 'on' },
])('of %j', (options) => {
  test.each(plays)('$name', async ({ name, failed, before }) => {
    // Before it has done anything at all, its ledger included.
    await killedAt(0, 'before');
    let killed = 0;
    for (const when of ['before', 'after'] as const) {
      for (let step = 1; await killedAt(step, when); step += 1) killed += 1;
    }
    const needsNeither = ['Leave', 'ReleaseAddress of the gateway'].includes(name);
    expect(killed).toBeGreaterThanOrEqual(needsNeither ? 0 : 2);

    /** Answers whether the call came to that step. */
    async function killedAt(step: number, when: 'before' | 'after'): Promise<boolean> {
      const machine = new Machine();
      const { kernel } = machine;
      const docker: Docker = { options, kernel, poolId: '', hasNetwork: false, containers: new Map() };
      try {
        const first = machine.start();
        for (const { name } of before) await tell(name, first, docker);
        await letPass(resyncMs);
        if (step === 0) machine.die();
        else machine.life.endAt(step, when);
        const ended = await Promise.race([
          tell(name, first, docker).then(() => 'answered' as const),
          machine.life.ended,
        ]);
        if (ended === 'answered') return false;

        if (step > 0) machine.die();
        const next = machine.start();
        for (const reaction of failed) await tell(reaction, next, docker);
        await agreesWithDocker(machine, docker, `${when} step ${step}`);
        await startsAgain(machine, next, docker);
        return true;
      } finally {
        machine.remove();
      }
    }
  });
});

/** Docker has no container, whichever call failed; what it may have left is settled within some looks. */
async function agreesWithDocker(machine: Machine, docker: Docker, where: string): Promise<void> {
  const count = docker.hasNetwork ? 1 : 0;
  const expected = {
    networks: docker.hasNetwork ? [network] : [],
    pools: count,
    endpoints: [],
    assigned: 0,
    inLedger: [count, count, 0],
    veths: [],
    containerEnds: [],
    ports: [],
  };
  for (let look = 1; look < 200 && !isDeepStrictEqual(await machine.held(), expected); look += 1) {
    await letPass(resyncMs);
  }
  expect(await machine.held(), where).toEqual(expected);
  if (!docker.hasNetwork) expect(await keysIn(machine.store), where).toEqual([]);
}

/** What was there before, and a container, can be had again. */
async function startsAgain(machine: Machine, weft: Agent, docker: Docker): Promise<void> {
  const begin = docker.hasNetwork ? 'RequestAddress' : 'RequestPool';
  const from = story.findIndex(({ name }) => name === begin);
  const to = story.findIndex(({ name }) => name === 'RevokeExternalConnectivity');
  for (const { name } of story.slice(from, to)) await tell(name, weft, docker);
  expect(await machine.held()).toMatchObject({
    endpoints: [endpoint],
    veths: [hostEnd(endpoint)],
    containerEnds: [containerEnd(endpoint)],
  });
}
