/** What a person asks of weft on a host: how it stands, whether all agrees, and what it can do where it does not. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostOf } from '../../../src/model/block-record.ts';
import { containerEnd } from '../../../src/model/names.ts';
import { records } from '../../../src/model/records.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createContainer,
  createNetwork,
  keys,
  keysIn,
  letPass,
  type MadeNetwork,
  outlast,
  resyncMs,
  startContainer,
  startHost,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';

let store: FakeStore;
let h1: WeftHost;
let h2: WeftHost;
beforeEach(() => {
  store = new FakeStore();
  h1 = startHost(store, 1);
  h2 = startHost(store, 2);
});
afterEach(async () => {
  for (const host of [h1, h2]) await host.remove();
});

/** A container on each host, and what each has to know of the other known. */
async function twoContainers(fabric: string): Promise<readonly [MadeNetwork, MadeNetwork]> {
  const options = { 'weft.network': 'blue', 'weft.fabric': fabric };
  const one = await createNetwork(h1, { id: 'd1', subnet, options });
  const two = await createNetwork(h2, { id: 'd2', subnet, options });
  await startContainer(h1, one, 'c1');
  await startContainer(h2, two, 'c2');
  await letPass(resyncMs);
  return [one, two];
}

const found = () => outlast(h1.tending.disagreements());

describe.each(['routed', 'vxlan'])('on a %s network', (fabric) => {
  test('all agrees, and nothing is written by looking', async () => {
    await twoContainers(fabric);
    const before = { sent: store.sent.length, applied: h1.kernel.applied.length };
    expect(await found()).toEqual([]);
    expect({ sent: store.sent.length, applied: h1.kernel.applied.length }).toEqual(before);
  });

  test('what the kernel lacks, or has for nobody, is named and put right', async () => {
    await twoContainers(fabric);
    const [name] = await h1.kernel.namespaces();
    const namespace = name === undefined ? h1.kernel.host : await h1.kernel.namespace(name);
    const { routes, fdb } = await namespace.read();
    const [route] = routes.filter(({ destination }) => destination === '10.77.0.64/26');
    const [entry] = fdb;
    if (route !== undefined) await namespace.apply([{ do: 'delete', kind: 'route', object: route }]);
    else if (entry !== undefined) await namespace.apply([{ do: 'delete', kind: 'fdb', object: entry }]);
    await namespace.filters[name === undefined ? 'inet' : 'bridge'].remove();
    const place = name ?? 'the host';
    expect((await found()).toSorted()).toEqual([
      expect.stringMatching(new RegExp(`^in the kernel, ${place} lacks .*, or has another in its place$`)),
      `the packet filter of ${place} is not as it should be`,
    ]);
    await outlast(h1.tending.putRight());
    expect(await found()).toEqual([]);
  });
});

test('what the store has of this host for nobody is named, and given back at the second look', async () => {
  const [{ poolId }] = await twoContainers('routed');
  await h1.addresses.requestAddress({ poolId, purpose: 'other' });
  expect(await found()).toEqual([]);
  await letPass(60_000);
  h1.ledger.endpoints.all().forEach(({ id }) => void h1.ledger.endpoints.delete(id));
  const sentences = await found();
  expect(sentences).toContainEqual(expect.stringMatching(/^this host has endpoint c10+, for nobody$/));
  expect(sentences).toContainEqual(
    expect.stringMatching(/^this host has address 10.77.0.3 of .*, for nobody$/),
  );
  await outlast(h1.tending.putRight());
  await letPass(1_000);
  await outlast(h1.tending.putRight());
  expect(await found()).toEqual([]);
  const { leftovers } = await h1.tending.status();
  expect(leftovers.endpoint.freed).toBe(1);
  expect(leftovers.address.freed).toBeGreaterThan(0);
});

test('a container that is being started is left what it has, however long it takes', async () => {
  const [network] = await twoContainers('routed');
  const repairAgainAndAgain = async () => {
    for (let times = 0; times < 3; times += 1) {
      await outlast(h1.tending.putRight());
      await letPass(3_000);
    }
  };
  const container = await createContainer(h1, network, 'c3');
  await repairAgainAndAgain();
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const apply = h1.kernel.host.apply.bind(h1.kernel.host);
  h1.kernel.host.apply = async (changes) => {
    await held;
    await apply(changes);
  };
  const joined = h1.network.join({ ...container, sandbox: '/run/docker/netns/c3' });
  await repairAgainAndAgain();
  goOn();
  await joined;
  h1.kernel.takeEnd(containerEnd(container.endpoint));
  await letPass(resyncMs);
  expect(await found()).toEqual([]);
});

test('what the store lacks of this host is named, and told again', async () => {
  await twoContainers('routed');
  const [endpoint] = h1.ledger.endpoints.all();
  store.writeElsewhere([{ delete: keys.endpoint('blue', endpoint?.id ?? '') }]);
  await letPass(0);
  expect(await found()).toEqual([
    'the store does not have endpoint c10000000000 of this host with 10.77.0.2',
  ]);
  await outlast(h1.tending.putRight());
  expect(await found()).toEqual([]);
});

test('while the store is away it cannot be said, and that is said', async () => {
  await twoContainers('routed');
  store.stop();
  await letPass(0);
  await expect(found()).rejects.toThrow('the store is away');
  expect(await h1.tending.status()).toMatchObject({
    storeConnected: false,
    trouble: expect.stringContaining('the store is away'),
  });
});

test('the status tells of networks and of the other hosts', async () => {
  await twoContainers('routed');
  expect(await h1.tending.status()).toMatchObject({
    ...{ id: h1.id, name: 'h1', storeConnected: true, driftRepaired: 0 },
    uplink: { address: '10.9.0.1', link: 'eth0', mtu: 1500 },
    networks: [{ key: 'blue', fabric: 'routed', endpoints: 1 }],
    peers: [
      {
        ...{ id: h2.id, name: 'h2', address: '10.9.0.2', alive: true, direct: false },
        reason: expect.any(String),
        since: expect.stringMatching(/^\d{4}-/),
      },
    ],
  });
  expect((await h1.tending.status()).trouble).toBeUndefined();
});

describe('a host that is gone for good', () => {
  const remove = (wanted: string) => outlast(h1.tending.removeHost(wanted));

  async function powerOff(host: WeftHost): Promise<void> {
    await host.close();
    store.writeElsewhere([{ delete: keys.alive(host.id) }]);
    await letPass(0);
  }

  test('leaves nothing behind, and its addresses are had by others', async () => {
    const [one] = await twoContainers('routed');
    const here = await keysIn(store);
    await powerOff(h2);
    expect(await remove('h2')).toEqual({
      ...{ id: h2.id, name: 'h2', endpoints: 1, networks: 1, pools: 1, blocks: 1 },
    });
    const left = await keysIn(store);
    expect(left.filter((key) => key.includes(h2.id))).toEqual([]);
    expect(here.length - left.length).toBe(5);
    expect(await store.get(keys.host(h2.id))).toBeUndefined();
    await until(() => h1.kernel.host.routes().every(({ destination }) => destination !== '10.77.0.64/26'));
    expect(await found()).toEqual([]);
    const { poolId } = one;
    const again = await h1.addresses.requestAddress({ poolId, address: '10.77.0.64', purpose: 'other' });
    expect(again).toBe('10.77.0.64/32');
  });

  test('takes no network along that others have, nor addresses that they borrowed', async () => {
    const [one] = await twoContainers('routed');
    await h1.addresses.requestAddress({ poolId: one.poolId, address: '10.77.0.70', purpose: 'other' });
    await powerOff(h2);
    await remove(h2.id);
    const entry = await store.get(keys.block(subnet, '10.77.0.64/26'));
    const block = entry && records.block.parse(entry.value);
    expect(block && [block.owner, hostOf(block, 6)]).toEqual([h1.id, h1.id]);
    expect(Object.keys(block?.assigned ?? {})).toEqual(['6']);
    expect(await store.get(keys.network('blue'))).toBeDefined();
  });

  test('takes along what only it had', async () => {
    await createNetwork(h2, { id: 'd2', subnet, options: { 'weft.network': 'blue' } });
    await letPass(resyncMs);
    await powerOff(h2);
    await remove('h2');
    expect(await keysIn(store)).toEqual([]);
  });

  test('is refused while it is heard of', async () => {
    await twoContainers('routed');
    await expect(remove('h2')).rejects.toThrow('host h2 is not gone');
    expect(await found()).toEqual([]);
  });

  test('cannot be this one, nor one that there is not', async () => {
    await twoContainers('routed');
    await expect(remove('h1')).rejects.toThrow('h1 is this host');
    await expect(remove('h3')).rejects.toThrow(
      `there is no host h3 in the cluster; there are h1 (${h1.id}), h2 (${h2.id})`,
    );
  });

  test('is named by its id where another has its name', async () => {
    await twoContainers('routed');
    const twin = records.host.render({ v: 1, id: 'aaaaaaaaaaaa', name: 'h2', address: '10.9.0.9' });
    store.writeElsewhere([{ put: keys.host('aaaaaaaaaaaa'), value: twin }]);
    await letPass(0);
    await expect(remove('h2')).rejects.toThrow(`name one by its id, ${h2.id} or aaaaaaaaaaaa`);
    expect(await remove('aaaaaaaaaaaa')).toMatchObject({ endpoints: 0, blocks: 0 });
  });
});
