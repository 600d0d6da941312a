import { beforeEach, expect, it, vi } from 'vitest';
import { assignAddress, assignments, releaseAddress } from '../../../src/ipam/addresses.ts';
import { cuttable } from '../../fakes/cut-store.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost } from './test-host.ts';

const subnet = '10.77.0.0/24';
const minuteMs = 60_000;

let store: FakeStore;
let nowMs: number;
let h1: IpamHost;
let h2: IpamHost;
const pools = new Map<IpamHost, string>();

beforeEach(async () => {
  store = new FakeStore();
  nowMs = 1_700_000_000_000;
  h1 = await testHost(store, 'h1', { now: () => nowMs });
  h2 = await testHost(store, 'h2', { now: () => nowMs });
  for (const host of [h1, h2]) pools.set(host, await poolOn(host, subnet));
});

const assign = (on: IpamHost, wanted?: string) => assignAddress(on, pools.get(on) ?? '', wanted);
const held = async (by: IpamHost) => (await assignments(by)).map(({ address }) => address);
const everythingHeard = () => h1.watcher.until(({ mirror }) => mirror.revision === store.revision);

/** How often that reads of the store. */
async function readings(work: () => Promise<unknown>): Promise<number> {
  const reads = [vi.spyOn(store, 'get'), vi.spyOn(store, 'list')];
  await work();
  const count = reads.reduce((sum, read) => sum + read.mock.calls.length, 0);
  for (const read of reads) read.mockRestore();
  return count;
}

it('what a host writes to its own blocks it knows', async () => {
  expect(
    await readings(async () => {
      for (let count = 0; count < 60; count += 1) await assign(h1);
      await releaseAddress(h1, pools.get(h1) ?? '', '10.77.0.1');
      expect(await held(h1)).toHaveLength(59);
    }),
  ).toBe(0);
});

it('what another host writes there is heard of, and read', async () => {
  await assign(h1);
  await assign(h2, '10.77.0.2');
  await everythingHeard();
  const before = store.sent.length;
  expect(await assign(h1)).toBe('10.77.0.3');
  expect(store.sent.length - before).toBe(1);
});

it('of a block in which a host has borrowed, nothing is kept', async () => {
  await assign(h1);
  await assign(h2, '10.77.0.2');
  await assign(h1);
  expect(await readings(() => held(h2))).toBe(1);
  expect(await held(h2)).toEqual(['10.77.0.2']);
});

it('after an answer was lost, and the outcome is certain, a block is read once', async () => {
  await assign(h1);
  store.loseAnswers(2);
  await assign(h1);
  expect(await readings(() => held(h1))).toBe(1);
  expect(await readings(() => held(h1))).toBe(0);
  expect(await held(h1)).toEqual(['10.77.0.1', '10.77.0.2']);
});

it('what is still under way is looked for until it has arrived, or is excluded', async () => {
  const way = cuttable(store);
  const late = await testHost(way, 'h3');
  pools.set(late, await poolOn(late, subnet));
  await assign(late);
  way.delay();
  await expect(assign(late)).rejects.toMatchObject({ code: 'unknown-outcome' });
  expect(await held(late)).toHaveLength(1);
  await way.deliver();
  expect(await held(late)).toHaveLength(2);
  expect(await readings(() => held(late))).toBe(1);
  await assign(late);
  expect(await readings(() => held(late))).toBe(0);
});

it('what a weft that was killed has left under way is found after a while', async () => {
  await assign(h1);
  const anew = await testHost(store, 'h1', { now: () => nowMs });
  expect(await held(anew)).toHaveLength(1);
  await assign(h1);
  expect(await held(anew)).toHaveLength(1);
  nowMs += 10 * minuteMs;
  expect(await held(anew)).toHaveLength(2);
});

it('what was known of a store that came back with an older state does not count', async () => {
  await assign(h1);
  const before = await store.list('');
  await assign(h1);
  store.stop();
  await h1.watcher.until(({ mirror }) => !mirror.connected);
  store.restore(before.entries, before.revision);
  store.start();
  await h1.watcher.until(({ mirror }) => mirror.connected);
  expect(await held(h1)).toEqual(['10.77.0.1']);
});
