/** Others change what is weft's in the kernel. */
import { beforeEach, expect, test } from 'vitest';
import { FakeStore } from '../../fakes/store.ts';
import {
  createNetwork,
  letPass,
  removeNetwork,
  resyncMs,
  startContainer,
  startHost,
  until,
  useTestTime,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';
const segmented = { 'weft.network': 'blue', 'weft.fabric': 'vxlan' };

let store: FakeStore;
beforeEach(() => {
  store = new FakeStore();
});

test('what others break is repaired by the next full pass', async () => {
  const host = startHost(store);
  const network = await createNetwork(host, { id: 'd1', subnet, options: { 'weft.network': 'blue' } });
  await startContainer(host, network, 'c1');
  const before = await host.kernel.host.read();
  const routes = before.routes.map((object) => ({ do: 'delete', kind: 'route', object }) as const);
  await host.kernel.host.apply(routes);
  await host.kernel.host.filters.inet.remove();
  await letPass(resyncMs);
  await until(async () => (await host.kernel.host.filters.inet.read()) !== undefined);
  const after = await host.kernel.host.read();
  expect(new Set(after.routes)).toEqual(new Set(before.routes));
});

test('what others take from a segment is put back when the kernel tells of it', async () => {
  const [h1, h2] = [startHost(store, 1), startHost(store, 2)];
  const blue = { subnet, options: segmented };
  const there = await createNetwork(h2, { id: 'd2', ...blue });
  await startContainer(h2, there, 'c2');
  await startContainer(h1, await createNetwork(h1, { id: 'd1', ...blue }), 'c1');
  const [name = ''] = await h1.kernel.namespaces();
  const segment = await h1.kernel.namespace(name);
  await letPass(resyncMs);
  const before = await segment.read();
  expect(before.fdb).toHaveLength(2);
  await segment.apply(before.fdb.map((object) => ({ do: 'delete', kind: 'fdb', object })));
  h1.kernel.announce({ kind: 'own segment', namespace: name });
  await letPass(resyncMs / 10);
  expect(await segment.read()).toEqual(before);
  expect((await h1.tending.status()).driftRepaired).toBe(2);
});

test('the end of a segment is no drift', async () => {
  const host = startHost(store);
  const network = await createNetwork(host, { id: 'd1', subnet, options: segmented });
  await letPass(resyncMs);
  const [name = ''] = await host.kernel.namespaces();
  await removeNetwork(host, network);
  await until(async () => (await host.kernel.namespaces()).length === 0);
  host.kernel.announce({ kind: 'own segment', namespace: name });
  await letPass(resyncMs / 10);
  expect((await host.tending.status()).driftRepaired).toBe(0);
});
