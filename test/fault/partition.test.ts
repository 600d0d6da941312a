/**
 * The store is away, from one host or from all, and containers are started all the same: at no moment two of them have
 * the same address, and when the store is back it holds them all.
 */
import { beforeAll, expect, test } from 'vitest';
import { records } from '../../src/model/records.ts';
import {
  addressOf,
  bothFabrics,
  complaint,
  createNetwork,
  pings,
  pluginName,
  startContainer,
  termsOf,
} from '../cluster/cluster.ts';
import { testCluster } from '../cluster/test-lab.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { announced, assignedCount } from './addresses.ts';

/** For how long one host is cut off; `npm run soak:partition` takes longer. */
const partitionMs = Number(process.env.PARTITION_SECONDS ?? 20) * 1_000;
const patienceMs = 120_000;

const lab = testCluster({
  name: 'partition',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
  ],
  settings: { WEFT_RESYNC_SECONDS: '5' },
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

beforeAll(async () => {
  // In this order, so that h1 owns the first block of each subnet.
  for (const host of lab.hosts) {
    for (const network of bothFabrics) {
      await createNetwork(host, network.name, termsOf(network));
      await startContainer(host, network.name, network.name);
    }
  }
});

/** Of all containers, as Docker has them; each is there once. */
async function allInDocker(): Promise<string[]> {
  const format = '{{range .Containers}}{{.IPv4Address}} {{end}}';
  const outputs = await Promise.all(
    lab.hosts.flatMap((host) =>
      bothFabrics.map(({ name }) => host.docker(['network', 'inspect', '--format', format, name])),
    ),
  );
  const all = outputs.flatMap((output) => output.match(/[0-9.]+(?=\/)/g) ?? []).toSorted();
  expect(new Set(all).size, all.join(' ')).toBe(all.length);
  return all;
}

/** In the first block of h1's. */
async function spareCount(): Promise<number> {
  const key = '/weft/v1/unwatched/blocks/10.77.0.0-16/10.77.0.0-26';
  const value = await lab.etcd.ctl(['get', '--print-value-only', key]);
  return records.block.parse(value).spare?.length ?? 0;
}

/** Nothing was lost, nor is anything left over. */
async function storeHolds(addresses: readonly string[]): Promise<void> {
  await waitFor(
    'the store holds what Docker has, and no more',
    async () => {
      expect(await announced(lab)).toEqual(addresses);
      expect(await assignedCount(lab)).toBe(addresses.length);
      return true;
    },
    patienceMs,
  );
}

test(
  'a host that is cut off from the store goes on, as the others do',
  async () => {
    const running = new Map<Host, string[]>(lab.hosts.map((host) => [host, []]));
    let count = 0;

    async function start(host: Host, args: readonly string[] = []): Promise<void> {
      const own = running.get(host) ?? [];
      const oldest = own.length < 8 ? undefined : own.shift();
      if (oldest !== undefined) await host.docker(['rm', '--force', oldest]);
      count += 1;
      const name = `c${count}`;
      try {
        await startContainer(host, 'blue', name, args);
        own.push(name);
      } catch (error) {
        await host.docker(['rm', '--force', name]);
        throw error;
      }
    }

    /** Both ask for it at the same moment. */
    async function want(address: string): Promise<string[]> {
      const answers = await Promise.allSettled(lab.hosts.map((host) => start(host, ['--ip', address])));
      const refusals = answers.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
      expect(refusals.length, `${address}, which both wanted`).toBeGreaterThan(0);
      return refusals;
    }

    await lab.cutOff('h1', ['etcd1']);
    try {
      await waitFor('h1 goes on', () => start(h1).then(() => true), patienceMs);
      const endMs = performance.now() + partitionMs;
      for (let round = 0; round < 2 || performance.now() < endMs; round += 1) {
        await Promise.all(lab.hosts.map((host) => start(host)));
        await allInDocker();
        const [held] = await want(`10.77.0.${63 - (round % 16)}`);
        expect(held).toMatch(/is (held for containers that|in use on) host h1/);
        // Any host may have this one that reaches the store.
        await want(`10.77.0.${20 + (round % 16)}`);
        await allInDocker();
      }
      console.log(`${count} containers asked for while h1 was cut off`);
    } finally {
      await lab.heal('h1');
    }
    const before = await allInDocker();
    await storeHolds(before);
    expect(await allInDocker()).toEqual(before);
    for (const [host, names] of running) await host.docker(['rm', '--force', ...names]);
    await storeHolds(await allInDocker());
  },
  partitionMs + 3 * patienceMs,
);

test(
  'with etcd down containers start, also after an upgrade and a loss of power',
  async () => {
    // What the test before has used up is filled up again.
    await waitFor('h1 has 16 spare addresses', async () => (await spareCount()) >= 16, patienceMs);
    await lab.etcd.members[0]?.kill();
    await waitFor('red1 starts', async () => {
      await h1.docker(['rm', '--force', 'red1']);
      await startContainer(h1, 'red', 'red1');
      return true;
    });
    const names = Array.from({ length: 16 }, (_, index) => `blue${index}`);
    for (const name of names) await startContainer(h1, 'blue', name);
    await pings(h1, 'blue0', await addressOf(h1, 'blue', 'blue15'));
    await pings(h1, 'blue0', await addressOf(h2, 'blue', 'blue'));
    await pings(h1, 'red', await addressOf(h1, 'red', 'red1'));
    const refusal = await complaint(startContainer(h1, 'blue', 'late'));
    expect(refusal).toContain('the store is away');
    await h1.docker(['rm', '--force', 'late']);
    await allInDocker();

    await h1.docker(['plugin', 'disable', '--force', pluginName]);
    await h1.docker(['plugin', 'enable', pluginName]);
    await startContainer(h1, 'red', 'red2');
    // On a segment, others answer only those that they have heard of.
    await pings(h1, 'red2', await addressOf(h1, 'red', 'red1'));
    await h1.docker(['rm', '--force', ...names.slice(8)]);

    await h1.powerCut();
    await h1.boot();
    for (const { name } of bothFabrics) {
      await waitFor(
        `a container of ${name} starts`,
        async () => {
          await h1.docker(['rm', '--force', `${name}-after`]);
          await startContainer(h1, name, `${name}-after`);
          return true;
        },
        patienceMs,
      );
    }
    await pings(h1, 'blue-after', await addressOf(h2, 'blue', 'blue'));

    await lab.etcd.start();
    const before = await allInDocker();
    await storeHolds(before);
    for (const { name } of bothFabrics) await pings(h2, name, await addressOf(h1, name, `${name}-after`));
  },
  4 * patienceMs,
);
