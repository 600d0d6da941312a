import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import { unneededIn } from '../../../src/agent/unneeded.ts';
import { assignAddress } from '../../../src/ipam/addresses.ts';
import { type SkippingClock, skippingClock } from '../../fakes/clock.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost } from '../ipam/test-host.ts';

const minute = 60_000;

let store: FakeStore;
let hosts: IpamHost[];
let clock: SkippingClock;
let look: () => number;

beforeEach(async () => {
  store = new FakeStore();
  clock = skippingClock();
  hosts = await Promise.all(['h1', 'h2', 'h3'].map((id) => testHost(store, id, { clock })));
  look = lookOf('h1');
  for (const [index, host] of hosts.entries()) {
    const poolId = await poolOn(host, '10.77.0.0/24');
    await assignAddress(host, poolId);
    // The second of them is borrowed, but for the first host.
    await assignAddress(host, poolId, `10.77.0.${10 + index}`);
    await setAlive(host.hostId, true);
  }
});

/** How much that host finds. */
function lookOf(id: string): () => number {
  const host = hosts.find(({ hostId }) => hostId === id);
  if (host === undefined) throw new Error(`no host ${id}`);
  const found = unneededIn(host, new Cluster(host.mirror, host.keys, pino({ level: 'silent' })));
  return () => found().length;
}

async function setAlive(id: string, alive: boolean): Promise<void> {
  const key = `/weft/v1/alive/${id}`;
  store.writeElsewhere([alive ? { put: key, value: id } : { delete: key }]);
  for (const { watcher } of hosts) {
    await watcher.until(({ mirror }) => mirror.revision === store.revision);
  }
}

/** Looks once a minute. */
async function looks(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let minutes = 0; minutes < count; minutes += 1) {
    await clock.sleep(minute);
    found.push(look());
  }
  return found;
}

test('a host is gone when it was not heard of for ten minutes', async () => {
  await setAlive('h3', false);
  look();
  expect((await looks(10)).slice(-2)).toEqual([0, 1]);
});

test('one that was heard of in between is not', async () => {
  await setAlive('h3', false);
  await looks(8);
  await setAlive('h3', true);
  look();
  await setAlive('h3', false);
  expect(await looks(9)).toEqual(Array(9).fill(0));
});

test('the time in which nobody looked, as the store was away, does not count', async () => {
  await setAlive('h3', false);
  look();
  await clock.sleep(60 * minute);
  expect(look()).toBe(0);
});

test('only the first of those that are heard of sees to it', async () => {
  await setAlive('h3', false);
  look = lookOf('h2');
  look();
  expect(await looks(11)).toEqual(Array(11).fill(0));
  await setAlive('h1', false);
  expect((await looks(1))[0]).toBe(1);
});
