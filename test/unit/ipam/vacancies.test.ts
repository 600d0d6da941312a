/** Where an allocation looks first: it is quick in a large pool, and finds what it would find by looking at all. */
import { beforeEach, expect, test, vi } from 'vitest';
import { assignAddress, releaseAddress } from '../../../src/ipam/addresses.ts';
import { newBlock } from '../../../src/ipam/block.ts';
import { records } from '../../../src/model/records.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost, written } from './test-host.ts';

const subnet = '10.77.0.0/24';
const restMs = 60_000;

let store: FakeStore;
let nowMs: number;
let h1: IpamHost;
let h2: IpamHost;
let pool1: string;
let pool2: string;

beforeEach(async () => {
  store = new FakeStore();
  nowMs = 1_700_000_000_000;
  h1 = await testHost(store, 'h1', { now: () => nowMs });
  h2 = await testHost(store, 'h2', { now: () => nowMs });
  pool1 = await poolOn(h1, subnet);
  pool2 = await poolOn(h2, subnet);
});

async function assignMany(count: number): Promise<string[]> {
  const assigned: string[] = [];
  while (assigned.length < count) assigned.push(await assignAddress(h1, pool1));
  return assigned;
}

/** All of the first block but the spare ones. */
const fillBlock = () => assignMany(47);

const everythingHeard = () => h1.watcher.until(({ mirror }) => mirror.revision === store.revision);

test('an allocation looks at no other blocks as long as there is room in one of its own', async () => {
  await assignMany(1);
  const asked = vi.spyOn(h1.mirror, 'entries');
  await assignMany(10);
  expect(asked).not.toHaveBeenCalledWith(h1.keys.claims(subnet));
  await assignMany(37);
  expect(asked).toHaveBeenCalledWith(h1.keys.claims(subnet));
});

test('a host that has started anew looks at all of them once', async () => {
  await assignMany(1);
  const anew = await testHost(store, 'h1');
  const pool = await poolOn(anew, subnet);
  await assignAddress(anew, pool);
  const asked = vi.spyOn(anew.mirror, 'entries');
  await assignAddress(anew, pool);
  expect(asked).not.toHaveBeenCalledWith(anew.keys.claims(subnet));
});

test('nor does it look at them where a pool is full, and nothing can be set aside', async () => {
  const small = '10.78.0.0/25';
  const pool = await poolOn(h1, small);
  for (let count = 0; count < 126; count += 1) await assignAddress(h1, pool);
  await releaseAddress(h1, pool, '10.78.0.70');
  nowMs += restMs;
  const asked = vi.spyOn(h1.mirror, 'entries');
  expect(await assignAddress(h1, pool)).toBe('10.78.0.70');
  expect(asked).not.toHaveBeenCalledWith(h1.keys.claims(small));
});

test('what was given back in a full block comes before what is free in a higher one', async () => {
  await fillBlock();
  expect(await assignMany(2)).toEqual(['10.77.0.64', '10.77.0.65']);
  await releaseAddress(h1, pool1, '10.77.0.5');
  expect(await assignMany(1)).toEqual(['10.77.0.66']);
  nowMs += restMs;
  expect(await assignMany(2)).toEqual(['10.77.0.5', '10.77.0.67']);
});

test('what another host gave back in a full block is found before another block is claimed', async () => {
  expect(await assignMany(1)).toEqual(['10.77.0.1']);
  await assignAddress(h2, pool2, '10.77.0.20');
  await assignMany(45);
  await releaseAddress(h2, pool2, '10.77.0.20');
  nowMs += restMs;
  await everythingHeard();
  expect(await assignMany(2)).toEqual(['10.77.0.20', '10.77.0.64']);
});

test('a block that came to be this host’s without its doing is served from when the others are full', async () => {
  await assignMany(1);
  const cidr = '10.77.0.64/26';
  store.writeElsewhere(written(h1.keys, newBlock({ pool: subnet, cidr, owner: 'h1' })));
  await everythingHeard();
  expect((await assignMany(47)).slice(-2)).toEqual(['10.77.0.47', '10.77.0.64']);
});

test('a block that is another’s now is served from no more', async () => {
  await assignMany(1);
  const key = h1.keys.block(subnet, '10.77.0.0/26');
  const block = records.block.parse((await store.get(key))?.value ?? '');
  store.writeElsewhere(written(h1.keys, { ...block, owner: 'h2' }));
  await everythingHeard();
  expect(await assignMany(1)).toEqual(['10.77.0.64']);
});
