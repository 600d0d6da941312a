/** The agent as a whole: from its start, through what may befall the store, to other hosts' agents. */
import { beforeEach, describe, expect, test } from 'vitest';
import { records } from '../../../src/model/records.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createContainer,
  createNetwork,
  freshKernel,
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
  waysAreFound,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';

let store: FakeStore;
beforeEach(() => {
  store = new FakeStore();
});

const start = (number = 1, kernel?: FakeKernel): WeftHost => startHost(store, number, kernel);

const options = (fabric: string) => ({ 'weft.network': 'blue', 'weft.fabric': fabric });

/** All but the lease's; with their revisions, so that one that was written anew differs. */
const recordsInStore = async () => {
  const { entries } = await store.list(keys.root);
  return entries.filter(({ key }) => !key.startsWith(keys.allAlive));
};

const hostRecord = async (host: WeftHost) => {
  const entry = await store.get(keys.host(host.id));
  return entry && records.host.parse(entry.value);
};

describe('at its start', () => {
  const foreign = { destination: '10.66.0.0/26', type: 'unicast', via: '10.9.0.7' } as const;

  test('it touches the kernel only when it knows what the cluster holds', async () => {
    const kernel = freshKernel();
    await kernel.host.apply([{ do: 'put', kind: 'route', object: foreign }]);
    store.stop();
    start(1, kernel);
    await letPass(3 * resyncMs);
    expect(kernel.applied).toHaveLength(1);
    store.start();
    await until(() => kernel.host.routes().length === 0);
  });

  test('it tells the cluster where this host is', async () => {
    const host = start();
    await until(async () => (await hostRecord(host)) !== undefined);
    expect(await hostRecord(host)).toEqual({
      ...{ v: 1, id: host.id, name: 'h1', address: '10.9.0.1', mtu: 1500 },
      ...{ mac: '02:57:0a:09:00:01', boot: 'boot of h1' },
    });
  });

  test('with the store away it answers by a sentence, and works without a restart when it is there', async () => {
    store.stop();
    const host = start();
    const refused = outlast(createNetwork(host, { id: 'd1', subnet }));
    await expect(refused).rejects.toThrow('the store is away');
    store.start();
    await createNetwork(host, { id: 'd1', subnet });
  });

  test('a call that comes too early waits for the store', async () => {
    store.stop();
    const host = start();
    const creation = createNetwork(host, { id: 'd1', subnet });
    await letPass(1_000);
    store.start();
    expect((await outlast(creation)).cidr).toBe(subnet);
  });

  test('without an address it says so, and asks again once a second, not more', async () => {
    const kernel = new FakeKernel([]);
    let asked = 0;
    kernel.addresses = async () => {
      asked += 1;
      return [];
    };
    const host = start(1, kernel);
    const refused = outlast(createNetwork(host, { id: 'd1', subnet }));
    await expect(refused).rejects.toThrow('set WEFT_ADDRESS');
    for (let times = 0; times < 10; times += 1) {
      await letPass(resyncMs);
      // What the store had to tell meanwhile is lost: its watch begins anew.
      store.writeElsewhere([{ put: `${keys.root}news`, value: String(times) }]);
      store.compact();
    }
    asked = 0;
    await letPass(10_000);
    expect(asked).toBeGreaterThanOrEqual(9);
    expect(asked).toBeLessThanOrEqual(11);
  });
});

describe.each(['routed', 'vxlan'])('%s: restarted, weft', (fabric) => {
  test('writes nothing to a kernel that is right, and goes on where it was', async () => {
    let host = start();
    const network = await createNetwork(host, { id: 'd1', subnet, options: options(fabric) });
    const container = await startContainer(host, network, 'c1');
    await letPass(resyncMs);
    const before = { applied: host.kernel.applied.length, records: await recordsInStore() };

    host = await host.restart();
    await letPass(2 * resyncMs);
    expect(await host.network.endpointInfo(container)).toMatchObject({ 'weft.network': 'blue' });
    expect(host.kernel.applied).toHaveLength(before.applied);
    expect(await recordsInStore()).toEqual(before.records);

    const next = await startContainer(host, network, 'c2');
    expect(next.address).not.toBe(container.address);
    for (const each of [container, next]) await stopContainer(host, each);
    expect((await keysIn(store)).filter((key) => key.startsWith(keys.allEndpoints))).toEqual([]);
  });

  test('with the store away, leaves everything as it is and removes what Docker removes', async () => {
    let host = start();
    const network = await createNetwork(host, { id: 'd1', subnet, options: options(fabric) });
    const containers = [await startContainer(host, network, 'c1'), await startContainer(host, network, 'c2')];
    const before = host.kernel.applied.length;
    store.stop();
    host = await host.restart();
    await letPass(2 * resyncMs);
    expect(host.kernel.applied).toHaveLength(before);
    const [gone] = containers;
    if (gone !== undefined) await stopContainer(host, gone);
    const kinds = host.kernel.applied.slice(before).map(({ change }) => `${change.do} ${change.kind}`);
    expect(kinds).toEqual(['delete port', 'delete link']);
    store.start();
    await letPass(2 * resyncMs);
    await until(async () => (await store.list(keys.allEndpoints)).entries.length === 1);
  });
});

describe('two hosts', () => {
  /** What the host's only segment holds, whenever it is asked. */
  const segmentOf = async (host: WeftHost) => {
    const [name = ''] = await host.kernel.namespaces();
    return async () => (await host.kernel.namespace(name)).read();
  };
  const routesOf = (host: WeftHost) =>
    host.kernel.host
      .routes()
      .filter(({ table }) => table === undefined)
      .flatMap(({ destination, via }) => (via === undefined ? [] : [[destination, via]]));

  test('route each other’s blocks, from the first address to the last host’s leave', async () => {
    const [h1, h2] = [start(1), start(2)];
    const blue = { subnet, options: options('routed') };
    const one = await startContainer(h1, await createNetwork(h1, { id: 'd1', ...blue }), 'c1');
    const two = await startContainer(h2, await createNetwork(h2, { id: 'd2', ...blue }), 'c2');
    await until(() => routesOf(h1).length > 0 && routesOf(h2).length > 0);
    expect([one.address, two.address]).toEqual(['10.77.0.2', '10.77.0.64']);
    expect(routesOf(h1)).toEqual([['10.77.0.64/26', '10.9.0.2']]);
    expect(routesOf(h2)).toEqual([['10.77.0.0/26', '10.9.0.1']]);
  });

  test('write nothing for each other’s containers where a route per block does', async () => {
    const [h1, h2] = [start(1), start(2)];
    const blue = { subnet, options: options('routed') };
    const there = await createNetwork(h2, { id: 'd2', ...blue });
    await createNetwork(h1, { id: 'd1', ...blue });
    await startContainer(h2, there, 'c2');
    await waysAreFound([h1]);
    await letPass(resyncMs);
    const before = h1.kernel.applied.length;
    for (const name of ['c3', 'c4']) await stopContainer(h2, await startContainer(h2, there, name));
    await letPass(resyncMs);
    expect(h1.kernel.applied).toHaveLength(before);
  });

  test('of a segment know each other’s containers, one by one', async () => {
    const [h1, h2] = [start(1), start(2)];
    const blue = { subnet, options: options('vxlan') };
    const there = await createNetwork(h2, { id: 'd2', ...blue });
    await startContainer(h1, await createNetwork(h1, { id: 'd1', ...blue }), 'c1');
    const segment = await segmentOf(h1);

    const container = await createContainer(h2, there, 'c2');
    await until(async () => (await segment()).neighbours.length > 0);
    expect((await segment()).neighbours).toMatchObject([{ address: container.address }]);
    expect((await segment()).fdb).toMatchObject([{ vtep: '10.9.0.2' }, { table: 'master' }]);
    await stopContainer(h2, container);
    await until(async () => (await segment()).neighbours.length === 0);
  });

  test('of a segment hold the way to others while they have a container on it, from its Join on', async () => {
    const [h1, h2] = [start(1), start(2)];
    const blue = { subnet, options: options('vxlan') };
    const there = await createNetwork(h2, { id: 'd2', ...blue });
    const here = await createNetwork(h1, { id: 'd1', ...blue });
    const segment = await segmentOf(h1);
    const far = await startContainer(h2, there, 'c2');
    await letPass(2 * resyncMs);
    expect(await segment()).toMatchObject({ neighbours: [], fdb: [] });

    const [name = ''] = await h1.kernel.namespaces();
    const namespace = await h1.kernel.namespace(name);
    const read = namespace.read.bind(namespace);
    const { promise: looked, resolve: look } = Promise.withResolvers<void>();
    namespace.read = () => looked.then(read);
    const join = async (name: string) => {
      const container = await createContainer(h1, here, name);
      await h1.network.join({ ...container, sandbox: name });
      expect(await read()).toMatchObject({ neighbours: [{ address: far.address }] });
      return container;
    };
    let joining = 0;
    const namespaces = h1.kernel.namespaces.bind(h1.kernel);
    h1.kernel.namespaces = () => {
      joining += 1;
      return namespaces();
    };
    const joined = Promise.all([join('c1'), join('c3')]);
    // No time passes: an endpoint that nobody joins for long is given back.
    while (joining < 2) await new Promise(setImmediate);
    await letPass(10);
    expect((await read()).links.map(({ name }) => name)).toEqual(['br0', 'weft-vx', 'weft-door']);
    look();
    const [one, two] = await joined;

    await stopContainer(h1, one);
    await letPass(resyncMs);
    expect((await segment()).fdb).toHaveLength(2);
    await stopContainer(h1, two);
    await until(async () => (await segment()).fdb.length === 0);
    await join('c4');
  });

  test('follow one that moves to another address', async () => {
    const h1 = start(1);
    let h2 = start(2);
    const blue = { subnet, options: options('routed') };
    await createNetwork(h1, { id: 'd1', ...blue });
    await startContainer(h2, await createNetwork(h2, { id: 'd2', ...blue }), 'c2');
    await until(() => routesOf(h1).length > 0);
    h2 = await h2.restart(freshKernel(9));
    await until(() => routesOf(h1).some(([, via]) => via === '10.9.0.9'));
    expect(routesOf(h1)).toEqual([['10.77.0.0/26', '10.9.0.9']]);
  });

  test('keep one’s network while the other is in it', async () => {
    const [h1, h2] = [start(1), start(2)];
    const blue = { subnet, options: options('routed') };
    await createNetwork(h1, { id: 'd1', ...blue });
    const there = await createNetwork(h2, { id: 'd2', ...blue });
    await startContainer(h2, there, 'c2');
    await h1.network.deleteNetwork('d1');
    expect(await store.get(keys.network('blue'))).toBeDefined();
    expect(routesOf(h1)).toEqual([]);
  });
});
