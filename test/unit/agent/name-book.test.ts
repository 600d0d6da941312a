/** What hosts tell each other about the names of their containers. */
import { beforeEach, expect, test } from 'vitest';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createNetwork,
  keysIn,
  type MadeNetwork,
  removeNetwork,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const wish = { id: 'net', subnet: '10.77.0.0/16' };
const blue = '10.77.0.0/16';

let store: FakeStore;
let h1: WeftHost;
let h2: WeftHost;
let here: MadeNetwork;
let there: MadeNetwork;
let web: Container;

beforeEach(async () => {
  store = new FakeStore();
  h1 = startHost(store, 1);
  h2 = startHost(store, 2);
  here = await createNetwork(h1, wish);
  there = await createNetwork(h2, wish);
  web = await startContainer(h1, here, 'web');
});

const named = () => ({ names: ['web', 'www'], domain: 'blue', addresses: [web.address] });
const name = () => h1.nameBook.write(web.endpoint, ['web', 'www'], 'blue');

test('a name is known on all hosts, and who follows them is told', async () => {
  const changed: string[] = [];
  h2.nameBook.onChange((network) => changed.push(network));
  expect(h2.nameBook.members(blue)).toEqual([]);
  await name();
  await until(() => h2.nameBook.members(blue).length > 0);
  expect(h2.nameBook.members(blue)).toEqual([named()]);
  expect(h1.nameBook.members(blue)).toEqual([named()]);
  expect(new Set(changed)).toEqual(new Set([blue]));
});

test('it goes with the endpoint, and is not told again', async () => {
  await name();
  await until(() => h2.nameBook.members(blue).length > 0);
  await stopContainer(h1, web);
  await until(() => h2.nameBook.members(blue).length === 0);
  await name();
  expect((await keysIn(store)).filter((key) => key.includes('/names/'))).toEqual([]);
});

test('a later name takes the place of the earlier one', async () => {
  await name();
  await h1.nameBook.write(web.endpoint, ['other'], 'blue');
  await until(() => h2.nameBook.members(blue)[0]?.names[0] === 'other');
  expect(h2.nameBook.members(blue)).toEqual([{ ...named(), names: ['other'] }]);
});

test('what is told already is not written again', async () => {
  await name();
  const [key = ''] = (await keysIn(store)).filter((key) => key.includes('/names/'));
  const before = await store.get(key);
  await name();
  expect(await store.get(key)).toEqual(before);
});

test('who told it hears that the store has lost it, not that it was taken away', async () => {
  let losses = 0;
  h1.nameBook.onForgotten(() => {
    losses += 1;
  });
  await name();
  const [key = ''] = (await keysIn(store)).filter((key) => key.includes('/names/'));
  await store.transact({ conditions: [], writes: [{ delete: key }] });
  await until(() => losses === 1);
  await name();
  await stopContainer(h1, web);
  await until(() => h2.nameBook.members(blue).length === 0);
  expect(losses).toBe(1);
});

test('a sandbox has the networks that it is on', async () => {
  const sandbox = '/run/docker/netns/web';
  expect(h1.nameBook.sandboxes()).toEqual(new Map([[sandbox, [blue]]]));
  await h1.network.leave(web);
  expect(h1.nameBook.sandboxes()).toEqual(new Map());
});

test('nothing is left of a network that is removed', async () => {
  await name();
  await stopContainer(h1, web);
  await removeNetwork(h1, here);
  await removeNetwork(h2, there);
  expect(await keysIn(store)).toEqual([]);
});
