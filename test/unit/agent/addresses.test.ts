import { beforeEach, describe, expect, test } from 'vitest';
import { records } from '../../../src/model/records.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createContainer,
  createNetwork,
  keys,
  keysIn,
  letPass,
  outlast,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/24';
const inBlue = { 'weft.network': 'blue' };

let store: FakeStore;
let h1: WeftHost;
beforeEach(() => {
  store = new FakeStore();
  h1 = startHost(store);
});

const requestPool = (options: Readonly<Record<string, string>> = {}) =>
  h1.addresses.requestPool({ pool: subnet, options, family: 4 });

describe('the prefix length of an address', () => {
  test('is the subnet’s, of the gateway and of what is set aside', async () => {
    const { poolId } = await requestPool();
    const request = (address: string, purpose: 'gateway' | 'other') =>
      h1.addresses.requestAddress({ poolId, address, purpose });
    expect(await request('10.77.0.254', 'gateway')).toBe('10.77.0.254/24');
    expect(await request('10.77.0.9', 'other')).toBe('10.77.0.9/24');
  });

  test.each([
    ['routed', '/32'],
    ['vxlan', '/24'],
  ])('is as fabric %s has it, of a container: %s', async (fabric, length) => {
    const { poolId } = await createNetwork(h1, { id: 'd1', subnet, options: { 'weft.fabric': fabric } });
    expect(await h1.addresses.requestAddress({ poolId, purpose: 'other' })).toBe(`10.77.0.2${length}`);
    h1 = await h1.restart();
    expect(await h1.addresses.requestAddress({ poolId, purpose: 'other' })).toBe(`10.77.0.3${length}`);
  });
});

test('an address set aside before the network is made is no container’s', async () => {
  const { poolId, cidr } = await requestPool();
  const aside = '10.77.0.2';
  await h1.addresses.requestAddress({ poolId, address: aside, purpose: 'other' });
  await h1.network.createNetwork({ id: 'd1', options: {}, internal: false, pools: [{ cidr }] });
  expect(await h1.addresses.requestAddress({ poolId, purpose: 'other' })).toBe('10.77.0.1/32');
  expect(await h1.addresses.requestAddress({ poolId, purpose: 'other' })).toBe('10.77.0.3/32');
  const wish = h1.addresses.requestAddress({ poolId, address: aside, purpose: 'other' });
  await expect(wish).rejects.toThrow('is set aside in subnet 10.77.0.0/24');
});

test('an address in use on another host is refused by that host’s name', async () => {
  const h2 = startHost(store, 2);
  const there = await createNetwork(h2, { id: 'd2', subnet, options: inBlue });
  const { address } = await startContainer(h2, there, 'c2');
  const { poolId } = await createNetwork(h1, { id: 'd1', subnet, options: inBlue });
  const wish = h1.addresses.requestAddress({ poolId, address, purpose: 'other' });
  await expect(wish).rejects.toThrow(`address ${address} is in use on host h2`);
});

describe('a network of several subnets', () => {
  const cidrs = ['10.77.1.0/30', '10.77.0.0/30', 'fd77::/126', '10.77.2.0/24'];
  let pools: readonly string[];
  beforeEach(async () => {
    const granted = [];
    for (const pool of cidrs) {
      granted.push(await h1.addresses.requestPool({ pool, options: {}, family: pool.includes(':') ? 6 : 4 }));
    }
    pools = granted.map(({ poolId }) => poolId);
    const made = cidrs.slice(0, 3).map((cidr) => ({ cidr }));
    await h1.network.createNetwork({ id: 'd1', options: {}, internal: false, pools: made });
  });
  const ask = () => h1.addresses.requestAddress({ poolId: pools[0] ?? '', purpose: 'other' });

  test('serves from the next when one is full, and says so when all are', async () => {
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual([
      '10.77.1.1/32',
      '10.77.1.2/32',
      '10.77.0.1/32',
      '10.77.0.2/32',
    ]);
    await expect(ask()).rejects.toThrow(
      /^subnet 10.77.1.0\/30 is full: 2 of 2 .*; subnet 10.77.0.0\/30 is full: 2 of 2 /,
    );
  });

  test('takes an address back, whichever subnet it is of', async () => {
    for (let count = 0; count < 4; count += 1) await ask();
    await h1.addresses.releaseAddress(pools[0] ?? '', '10.77.0.2');
    expect(await ask()).toBe('10.77.0.2/32');
  });

  test('has its endpoints announced', async () => {
    for (let count = 0; count < 2; count += 1) await ask();
    await createContainer(h1, { id: 'd1', poolId: pools[0] ?? '' }, 'c1');
    const { entries } = await store.list(keys.allEndpoints);
    expect(entries.map(({ value }) => records.endpoint.parse(value).addresses)).toEqual([['10.77.0.1']]);
  });
});

test('a late release for an earlier container does not free what a container uses', async () => {
  const network = await createNetwork(h1, { id: 'd1', subnet });
  const { address } = await startContainer(h1, network, 'c1');
  await h1.addresses.releaseAddress(network.poolId, address);
  const wish = h1.addresses.requestAddress({ poolId: network.poolId, address, purpose: 'other' });
  await expect(wish).rejects.toThrow('is in use on host h1');
});

test('an address without an endpoint, as Docker crashed, is given back after a minute', async () => {
  const { poolId } = await createNetwork(h1, { id: 'd1', subnet });
  await h1.addresses.requestAddress({ poolId, address: '10.77.0.7', purpose: 'other' });
  const isHeld = async () => {
    const entry = await store.get(keys.block(subnet, '10.77.0.0/26'));
    return '7' in records.block.parse(entry?.value ?? '').assigned;
  };
  await letPass(2 * resyncMs);
  expect(await isHeld()).toBe(true);
  await until(async () => !(await isHeld()));
});

test('an address and a pool released while the store is away are given back later', async () => {
  const network = await createNetwork(h1, { id: 'd1', subnet });
  const container = await createContainer(h1, network, 'c1');
  const { poolId } = await requestPool();
  store.stop();
  await letPass(0);
  await stopContainer(h1, container);
  await h1.addresses.releasePool(poolId);
  store.start();
  await letPass(3 * resyncMs);
  await until(async () => (await store.list(keys.references(subnet))).entries.length === 1);
  await until(async () => !(await store.get(keys.block(subnet, '10.77.0.0/26')))?.value.includes('host"'));
});

test('with the store away a request is refused by a sentence', async () => {
  const { poolId } = await createNetwork(h1, { id: 'd1', subnet });
  store.stop();
  await letPass(0);
  const sentence = 'weft cannot do this now, try again later: the store is away';
  await expect(outlast(requestPool())).rejects.toThrow(sentence);
  const request = h1.addresses.requestAddress({ poolId, purpose: 'other' });
  await expect(outlast(request)).rejects.toThrow(sentence);
});

test('another host joins a network by its name, and gets its subnet', async () => {
  const h2 = startHost(store, 2);
  await createNetwork(h2, { id: 'd2', subnet, options: inBlue });
  const pool = await h1.addresses.requestPool({ options: inBlue, family: 4 });
  expect(pool.cidr).toBe(subnet);
});

test('an automatic subnet avoids the routes of all hosts', async () => {
  const kernel = new FakeKernel([
    { name: 'eth0', mtu: 1500, addresses: ['10.9.0.2/24'] },
    { name: 'vpn0', mtu: 1400, addresses: ['10.160.7.1/24', '10.160.0.5/16', '192.168.0.5/24'] },
  ]);
  const h2 = startHost(store, 2, kernel);
  const told = async () => {
    const entry = await store.get(keys.host(h2.id));
    return entry && records.host.parse(entry.value).routes;
  };
  await until(async () => (await told()) !== undefined);
  expect(await told()).toEqual(['10.160.0.0/16']);
  const pool = await h1.addresses.requestPool({ options: {}, family: 4 });
  expect(pool.cidr).toBe('10.161.0.0/20');
});

test('a pool requested by a mistaken option leaves nothing', async () => {
  await expect(requestPool({ 'weft.netwrok': 'blue' })).rejects.toThrow('did you mean weft.network?');
  expect(await keysIn(store)).toEqual([]);
});

test('a release of what is no address succeeds', async () => {
  const { poolId } = await requestPool();
  await h1.addresses.releaseAddress(poolId, 'nonsense');
});
