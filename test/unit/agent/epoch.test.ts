import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import { type Epoch, epochOf } from '../../../src/agent/epoch.ts';
import { Mirror, mirroring } from '../../../src/store/mirror.ts';
import { FakeStore } from '../../fakes/store.ts';
import { keys } from './weft-host.ts';

let store: FakeStore;

beforeEach(() => {
  store = new FakeStore();
});

/** A host's sight of the store, which it has when it looks. */
function sightOf(name: string, last?: string): Epoch & { look(wentBack?: boolean): Promise<boolean> } {
  const mirror = new Mirror(keys.root);
  let begun = 0;
  const epoch = epochOf({
    ...{ store: mirroring(store, () => [mirror]), keys, last },
    cluster: new Cluster(mirror, keys, pino({ level: 'silent' })),
    newId: () => {
      begun += 1;
      return `${name}-${begun}`;
    },
  });
  return {
    ...epoch,
    async look(wentBack = false) {
      mirror.apply({ type: 'snapshot', ...(await store.list(keys.root)) });
      return epoch.hasTurned(wentBack);
    },
  };
}

test('the first host gives the store one, and the others take it over', async () => {
  const [h1, h2] = [sightOf('h1'), sightOf('h2')];
  for (const host of [h1, h2]) {
    expect(await host.look()).toBe(false);
    expect(host.current()).toBeUndefined();
  }
  for (const host of [h1, h2]) await host.begin();
  expect(await h2.look()).toBe(false);
  expect([h1.current(), h2.current()]).toEqual(['h1-1', 'h1-1']);
});

test('it ends with the data of the store, and that is said once', async () => {
  const h1 = sightOf('h1', 'old');
  store.writeElsewhere([{ put: keys.epoch, value: 'old' }]);
  expect(await h1.look()).toBe(false);
  store.writeElsewhere([{ delete: keys.epoch }]);
  expect(await h1.look()).toBe(true);
  expect(h1.current()).toBeUndefined();
  await h1.begin();
  expect(await h1.look()).toBe(false);
  expect(h1.current()).toBe('h1-1');
});

test('a store that was restored bears one that is over: who finds out first gives it another, the rest do not', async () => {
  const hosts = [sightOf('h1', 'old'), sightOf('h2', 'old')];
  store.writeElsewhere([{ put: keys.epoch, value: 'old' }]);
  for (const host of hosts) {
    expect(await host.look(true)).toBe(true);
    await host.begin();
    expect(host.current()).toBe('h1-1');
  }
  expect(store.sent).toHaveLength(1);
});

test('a host that was off meanwhile finds out by it, however far the store has come', async () => {
  store.writeElsewhere([{ put: keys.epoch, value: 'new' }]);
  expect(await sightOf('h1', 'old').look()).toBe(true);
  expect(await sightOf('h2').look()).toBe(false);
});
