import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import { type Endpoint, type Host, records } from '../../../src/model/records.ts';
import { FakeStore } from '../../fakes/store.ts';
import { Watcher } from '../../fakes/watcher.ts';
import { keys } from './weft-host.ts';

const h1: Host = { v: 1, id: 'h1', name: 'one', address: '10.9.0.1' };
const endpoint: Endpoint = {
  v: 1,
  id: 'e1',
  network: 'blue',
  host: 'h1',
  mac: '02:57:0a:4d:00:02',
  addresses: ['10.77.0.2'],
};

let store: FakeStore;
let watcher: Watcher;
let cluster: Cluster;
let logged: { readonly key: string; readonly reason: string }[];
beforeEach(async () => {
  store = new FakeStore();
  watcher = new Watcher(store, keys.root);
  logged = [];
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  await watcher.until(({ mirror }) => mirror.complete);
  cluster = new Cluster(watcher.mirror, keys, log);
});
afterEach(() => watcher.stop());

async function put(key: string, value: string): Promise<void> {
  store.writeElsewhere([{ put: key, value }]);
  await watcher.until(({ mirror }) => mirror.revision === store.revision);
}

test('tells what the store holds, as records', async () => {
  await put(keys.host('h1'), records.host.render(h1));
  await put(keys.endpoint('blue', 'e1'), records.endpoint.render(endpoint));
  expect(cluster.hosts()).toEqual([h1]);
  expect(cluster.host('h1')).toEqual(h1);
  expect(cluster.endpoints('blue')).toEqual([endpoint]);
  expect(cluster.endpoints('blu')).toEqual([]);
  expect(cluster.endpointsOf(endpoint.host)).toEqual([endpoint]);
  expect(cluster.endpointsOf(endpoint.host.slice(0, 1))).toEqual([]);
  expect(cluster.network('blue')).toBeUndefined();
});

test('knows a pool that overlaps others by its network', async () => {
  const cidr = '10.77.0.0/16';
  const pool = records.pool.render({ v: 1, cidr, reserved: [] });
  await put(keys.pool(`${cidr}@blue`), pool);
  await put(keys.pool('10.78.0.0/16'), pool);
  expect(cluster.pool(`${cidr}@blue`)?.cidr).toBe(cidr);
  expect(cluster.pool('10.78.0.0/16')).toBeUndefined();
});

test('follows the store', async () => {
  await put(keys.host('h1'), records.host.render(h1));
  expect(cluster.host('h1')?.address).toBe('10.9.0.1');
  await put(keys.host('h1'), records.host.render({ ...h1, address: '10.9.0.9' }));
  expect(cluster.host('h1')?.address).toBe('10.9.0.9');
});

test.each([
  ['is damaged', '{"v":1,"id":"h2"'],
  ['lacks something', '{"v":1,"id":"h2"}'],
  ['is of a newer weft', JSON.stringify({ ...h1, id: 'h2', v: 2 })],
])('leaves out a record that %s, names it once, and goes on with the others', async (_what, value) => {
  await put(keys.host('h1'), records.host.render(h1));
  await put(keys.host('h2'), value);
  for (let times = 0; times < 3; times += 1) {
    expect(cluster.hosts()).toEqual([h1]);
    expect(cluster.host('h2')).toBeUndefined();
  }
  expect(logged).toMatchObject([{ key: keys.host('h2') }]);
  await put(keys.host('h2'), records.host.render({ ...h1, id: 'h2' }));
  expect(cluster.hosts()).toHaveLength(2);
});

test('tells a host’s own parts apart from those of others', async () => {
  for (const host of ['h1', 'h2']) {
    const value = records.participant.render({ v: 1, host, dockerNetworks: [`of ${host}`] });
    await put(keys.participant('blue', host), value);
    const reference = records.poolReference.render({ v: 1, host, sinceMs: 0 });
    await put(keys.reference('10.77.0.0/16', `r${host}`), reference);
  }
  expect(cluster.participations('h1')).toMatchObject([
    { network: 'blue', participant: { dockerNetworks: ['of h1'] } },
  ]);
  expect(cluster.references('h2')).toMatchObject([{ pool: '10.77.0.0/16', id: 'rh2' }]);
});
