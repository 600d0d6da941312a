import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Leftover } from '../../../src/agent/settlement.ts';
import { unneededIn } from '../../../src/agent/unneeded.ts';
import { assignAddress } from '../../../src/ipam/addresses.ts';
import { newBlock, touch } from '../../../src/ipam/block.ts';
import { records } from '../../../src/model/records.ts';
import type { Write } from '../../../src/store/store.ts';
import { type SkippingClock, skippingClock } from '../../fakes/clock.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost, written } from '../ipam/test-host.ts';

const minute = 60_000;

let store: FakeStore;
let hosts: IpamHost[];
let clock: SkippingClock;
let look: () => Promise<number>;

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

function hostBy(id: string): IpamHost {
  const host = hosts.find(({ hostId }) => hostId === id);
  if (host === undefined) throw new Error(`no host ${id}`);
  return host;
}

function unneededOf(id: string): () => Promise<Leftover[]> {
  const host = hostBy(id);
  return unneededIn(host, new Cluster(host.mirror, host.keys, pino({ level: 'silent' })));
}

/** How much that host finds. */
function lookOf(id: string): () => Promise<number> {
  const found = unneededOf(id);
  return async () => (await found()).length;
}

function setAlive(id: string, alive: boolean): Promise<void> {
  const key = `/weft/v1/alive/${id}`;
  return write(alive ? { put: key, value: id } : { delete: key });
}

/** Everybody has heard of it then. */
async function write(...writes: Write[]): Promise<void> {
  store.writeElsewhere(writes);
  for (const { watcher } of hosts) {
    await watcher.until(({ mirror }) => mirror.revision === store.revision);
  }
}

/** Looks once a minute. */
async function looks(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let minutes = 0; minutes < count; minutes += 1) {
    await clock.sleep(minute);
    found.push(await look());
  }
  return found;
}

test('a host is gone when it was not heard of for ten minutes', async () => {
  await setAlive('h3', false);
  await look();
  expect((await looks(10)).slice(-2)).toEqual([0, 1]);
});

test('one that was heard of in between is not', async () => {
  await setAlive('h3', false);
  await looks(8);
  await setAlive('h3', true);
  await look();
  await setAlive('h3', false);
  expect(await looks(9)).toEqual(Array(9).fill(0));
});

test('the time in which nobody looked, as the store was away, does not count', async () => {
  await setAlive('h3', false);
  await look();
  await clock.sleep(60 * minute);
  expect(await look()).toBe(0);
});

test('only the first of those that are heard of sees to it', async () => {
  await setAlive('h3', false);
  look = lookOf('h2');
  await look();
  expect(await looks(11)).toEqual(Array(11).fill(0));
  await setAlive('h1', false);
  expect((await looks(1))[0]).toBe(1);
});

/** An own block of which nobody has anything. */
async function emptyBlock(): Promise<void> {
  const [pool, cidr] = ['10.77.0.0/24', '10.77.0.192/26'];
  await write(...written(hostBy('h1').keys, newBlock({ pool, cidr, owner: 'h1' })));
}

/** A host is gone that has borrowed. */
const abandonedAddress = () => setAlive('h3', false);

/** A pool is full, but for what is spare. */
async function crampedBlock(): Promise<void> {
  const h1 = hostBy('h1');
  const poolId = await poolOn(h1, '10.78.0.0/25');
  for (let count = 0; count < 126 - 16; count += 1) await assignAddress(h1, poolId);
}

test.each([
  ['an empty block', emptyBlock],
  ['an address of a host that is gone', abandonedAddress],
  ['a spare address', crampedBlock],
])('%s is another thing once somebody has written to its block: two more looks', async (_, prepare) => {
  const found = unneededOf('h1');
  look = async () => (await found()).length;
  await prepare();
  await look();
  await looks(10);
  const names = async () => (await found()).map(({ name }) => name);
  const before = await names();
  expect(before).toHaveLength(1);
  const { keys } = hostBy('h1');
  const { entries } = await store.list(keys.allBlocks);
  await write(...entries.flatMap(({ value }) => written(keys, touch(records.block.parse(value)))));
  expect(await names()).toHaveLength(1);
  expect(await names()).not.toEqual(before);
});
