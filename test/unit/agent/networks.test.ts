import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeStore } from '../../fakes/store.ts';
import {
  createNetwork,
  keys,
  keysIn,
  letPass,
  outlast,
  removeNetwork,
  resyncMs,
  startContainer,
  startHost,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';
const fabrics = [{ fabric: 'routed' }, { fabric: 'vxlan' }];

let store: FakeStore;
let host: WeftHost;
beforeEach(() => {
  store = new FakeStore();
  host = startHost(store);
});
afterEach(() => host.remove());

const create = (fabric = 'routed') =>
  createNetwork(host, { id: 'd1', subnet, options: { 'weft.network': 'blue', 'weft.fabric': fabric } });

const networkKeys = async () => (await keysIn(store)).filter((key) => key.startsWith(keys.networks));

test.each(fabrics)('$fabric: what is created and removed leaves nothing behind', async ({ fabric }) => {
  const network = await create(fabric);
  expect(await networkKeys()).toEqual([keys.network('blue'), keys.participant('blue', host.id)]);
  await removeNetwork(host, network);
  expect(await keysIn(store)).toEqual([]);
  expect(host.kernel.host.routes()).toEqual([]);
  expect(await host.kernel.namespaces()).toEqual([]);
  expect(await host.kernel.readNftTable()).toBeUndefined();
});

test('a repeated creation writes nothing', async () => {
  const { cidr, gateway } = await create();
  const before = store.revision;
  const options = { 'weft.network': 'blue' };
  await host.network.createNetwork({ id: 'd1', options, internal: false, pools: [{ cidr, gateway }] });
  expect(store.revision).toBe(before);
});

test.each([
  ['without a subnet', [], 'needs a subnet'],
  ['with a subnet that weft-ipam has not given', [{ cidr: '10.99.0.0/24' }], 'add --ipam-driver weft-ipam'],
])('one %s is refused', async (_what, pools, sentence) => {
  const creation = host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools });
  await expect(creation).rejects.toThrow(sentence);
  expect(await keysIn(store)).toEqual([]);
});

test('the same RequestPool does not serve two networks', async () => {
  const { cidr, gateway } = await create();
  const options = { 'weft.network': 'red' };
  const creation = host.network.createNetwork({
    id: 'd2',
    options,
    internal: false,
    pools: [{ cidr, gateway }],
  });
  await expect(creation).rejects.toThrow('add --ipam-driver weft-ipam');
});

test('one in whose subnet a host lives is refused', async () => {
  const creation = createNetwork(host, { id: 'd1', subnet: '10.9.0.0/16' });
  await expect(creation).rejects.toThrow('contains 10.9.0.1, the address of host h1');
  expect(await networkKeys()).toEqual([]);
});

test('one whose MTU the uplink cannot carry is refused', async () => {
  const options = { 'weft.mtu': '1460', 'weft.fabric': 'vxlan' };
  await expect(createNetwork(host, { id: 'd1', subnet, options })).rejects.toThrow('leaves 1450 of them');
  expect(await networkKeys()).toEqual([]);
});

test.each([
  ['routed', 'route'],
  ['routed', 'nft'],
  ['routed', 'forward-accept'],
  ['vxlan', 'namespace'],
  ['vxlan', 'link'],
] as const)(
  '%s: when the kernel fails (%s), nothing is left, and it can be tried again',
  async (fabric, what) => {
    const { poolId, cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
    const options = { 'weft.fabric': fabric };
    const request = { id: 'd1', options, internal: false, pools: [{ cidr }] };
    await letPass(1_000);
    host.kernel.failNext(what);
    await expect(host.network.createNetwork(request)).rejects.toThrow('told to fail');
    expect(await networkKeys()).toEqual([]);
    await host.network.createNetwork(request);
    expect(await networkKeys()).toHaveLength(2);
    expect(await host.addresses.requestAddress({ poolId, purpose: 'other' })).toMatch(/^10\.77\./);
  },
);

test('with the store away it is refused by a sentence, and leaves nothing when the store is back', async () => {
  const { cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
  store.stop();
  await letPass(0);
  const creation = host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools: [{ cidr }] });
  await expect(outlast(creation)).rejects.toThrow('the store is away');
  store.start();
  expect(await networkKeys()).toEqual([]);
});

test.each(fabrics)(
  '$fabric: removed while the store is away, it is given back at the second look',
  async ({ fabric }) => {
    const network = await create(fabric);
    store.stop();
    await letPass(0);
    await removeNetwork(host, network);
    expect(host.kernel.host.routes()).toEqual([]);
    expect(await host.kernel.namespaces()).toEqual([]);
    store.start();
    await letPass(resyncMs);
    expect(await keysIn(store)).not.toEqual([]);
    await letPass(resyncMs);
    await until(async () => (await keysIn(store)).length === 0);
  },
);

test('removed while the store is away, it can be created anew as soon as the store is back', async () => {
  const { poolId, gateway } = await createNetwork(host, { id: 'd1', subnet });
  store.stop();
  await letPass(0);
  await removeNetwork(host, { id: 'd1', poolId, gateway, cidr: subnet });
  store.start();
  await letPass(0);
  const successor = await createNetwork(host, { id: 'd2', subnet });
  await letPass(3 * resyncMs);
  const participant = await store.get(keys.participant(subnet, host.id));
  expect(participant?.value).toContain('"dockerNetworks":["d2"]');
  await removeNetwork(host, successor);
  expect(await keysIn(store)).toEqual([]);
});

test('the endpoints that Docker has lost go with it', async () => {
  const network = await create();
  await startContainer(host, network, 'c1');
  await removeNetwork(host, network);
  await until(() => host.kernel.host.links().length === 0);
  expect(await keysIn(store)).toEqual([]);
  host = await host.restart();
  await letPass(2 * resyncMs);
  expect(host.kernel.host.links()).toEqual([]);
});

test('one whose pools Docker has given back is one it was refused: it goes at the second look', async () => {
  const { poolId } = await create();
  await host.addresses.releasePool(poolId);
  await letPass(resyncMs);
  expect(await networkKeys()).not.toEqual([]);
  await letPass(resyncMs);
  await until(async () => (await keysIn(store)).length === 0);
  expect(host.kernel.host.routes()).toEqual([]);
});
