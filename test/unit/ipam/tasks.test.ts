import { beforeEach, expect, it } from 'vitest';
import { assignAddress, assignments, releaseAddress } from '../../../src/ipam/addresses.ts';
import { releasePool } from '../../../src/ipam/pools.ts';
import { emptyBlocks } from '../../../src/ipam/reclaim.ts';
import { reserveGateway } from '../../../src/ipam/reservations.ts';
import { requestPoolForTasks, reserveForTask } from '../../../src/ipam/tasks.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost } from './test-host.ts';

const subnet = { pool: '10.77.0.0/24', options: {}, family: 4 } as const;

let store: FakeStore;
let nowMs: number;
let manager: IpamHost;
let host: IpamHost;
/** Pool ids: of the manager, and of the hosts, of which the manager is one. */
let ofManager: string;
let onManager: string;
let onHost: string;

beforeEach(async () => {
  store = new FakeStore();
  nowMs = 1_700_000_000_000;
  manager = await testHost(store, 'm', { now: () => nowMs });
  host = await testHost(store, 'h', { now: () => nowMs });
  const refer = (on: IpamHost) => poolOn(on, subnet.pool);
  ofManager = (await requestPoolForTasks(manager, subnet)).poolId;
  onManager = await refer(manager);
  onHost = await refer(host);
});

it('the address of a task is had by the host that runs it, and by no other container', async () => {
  const address = await reserveForTask(manager, ofManager);
  expect(address).toBe('10.77.0.1');
  expect(await assignAddress(manager, onManager)).toBe('10.77.0.2');
  expect(await assignAddress(host, onHost, address)).toBe(address);
  host.endpoints.add(address);
  await expect(assignAddress(manager, onManager, address)).rejects.toThrow('is in use on host h.example');
});

it('a manager’s reservation is no address that the host holds for nobody', async () => {
  await reserveForTask(manager, ofManager);
  expect(await assignments(manager)).toEqual([]);
  nowMs += 3_600_000;
  expect(await emptyBlocks(manager, () => true)).toEqual([]);
});

it.each([
  ['the host first', ['host', 'manager']],
  ['the manager first', ['manager', 'host']],
])('it is free when both have given it back: %s', async (_, order) => {
  const address = await reserveForTask(manager, ofManager);
  await assignAddress(host, onHost, address);
  const isFree = async () => {
    nowMs += 3_600_000;
    return (await emptyBlocks(manager, () => true)).length === 1;
  };
  for (const [index, who] of order.entries()) {
    if (who === 'host') await releaseAddress(host, onHost, address);
    else await releaseAddress(manager, ofManager, address);
    await manager.watcher.until(({ mirror }) => mirror.revision === store.revision);
    await host.watcher.until(({ mirror }) => mirror.revision === store.revision);
    expect(await isFree()).toBe(index === 1);
  }
});

it('a task on the manager itself is like any other', async () => {
  const address = await reserveForTask(manager, ofManager);
  await assignAddress(manager, onManager, address);
  await releaseAddress(manager, onManager, address);
  expect(await assignments(manager)).toEqual([]);
  expect(await assignAddress(manager, onManager)).toBe('10.77.0.2');
  await releaseAddress(manager, ofManager, address);
  expect(await assignAddress(manager, onManager, address)).toBe(address);
});

it('another manager takes over what was chosen, also of tasks that run', async () => {
  const address = await reserveForTask(manager, ofManager);
  await assignAddress(host, onHost, address);
  expect(await reserveForTask(host, ofManager, address)).toBe(address);
  await releaseAddress(host, onHost, address);
  await releaseAddress(host, ofManager, address);
  await expect(reserveGateway(host, onHost, address)).resolves.toBe(address);
});

it('managers that come after each other have the subnet together', async () => {
  const later = await requestPoolForTasks(host, subnet);
  expect(later.poolId).toBe(ofManager);
  for (const [on, poolId] of [
    [host, later.poolId],
    [manager, onManager],
    [host, onHost],
  ] as const) {
    await releasePool(on, poolId);
  }
  expect((await store.list('')).entries).toEqual([]);
});

it('a manager that starts again keeps what it asks for again, and nothing else', async () => {
  const [running, starting, gone] = [
    await reserveForTask(manager, ofManager),
    await reserveForTask(manager, ofManager),
    await reserveForTask(manager, ofManager),
  ];
  await assignAddress(host, onHost, running);
  host.endpoints.add(running);
  await host.watcher.until(({ mirror }) => mirror.revision === store.revision);

  await requestPoolForTasks(host, subnet);
  // They rest first.
  expect(await assignAddress(manager, onManager)).toBe('10.77.0.4');
  for (const address of [running, starting]) {
    expect(await reserveForTask(host, ofManager, address)).toBe(address);
  }
  await releaseAddress(host, ofManager, running);
  await expect(assignAddress(manager, onManager, running)).rejects.toThrow('is in use on host h.example');
  expect(await assignAddress(manager, onManager, gone)).toBe(gone);
});

it('what a container has without swarm is no task’s, and what is a task’s no gateway', async () => {
  const address = await assignAddress(host, onHost);
  await expect(reserveForTask(manager, ofManager, address)).rejects.toThrow('is in use on host h.example');
  const kept = await reserveForTask(manager, ofManager);
  await expect(reserveGateway(host, onHost, kept)).rejects.toThrow("is kept for a task of swarm's");
});

it('a lost answer keeps one address', async () => {
  store.loseAnswers(2);
  expect(await reserveForTask(manager, ofManager)).toBe('10.77.0.1');
  expect(await reserveForTask(manager, ofManager)).toBe('10.77.0.2');
});
