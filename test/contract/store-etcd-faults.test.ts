/** etcd as it fails: each of these lost events, lied or hung with the client library's own means. */
import { Etcd3 } from 'etcd3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WeftError } from '../../src/errors.ts';
import { openEtcdStore } from '../../src/store/etcd.ts';
import { transactUntilSettled } from '../../src/store/settle.ts';
import type { Store } from '../../src/store/store.ts';
import { type Link, startLink } from '../fakes/link.ts';
import { Watcher } from '../fakes/watcher.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';

const callTimeoutMs = 1_000;
let etcd: EtcdServer;
let admin: Etcd3;
let link: Link;
let store: Store;
let elsewhere: Store;
let at: string;
let made = 0;
const watchers: Watcher[] = [];

beforeAll(async () => {
  etcd = await startEtcd();
  admin = new Etcd3({ hosts: etcd.endpoint });
});

afterAll(async () => {
  admin?.close();
  await etcd?.remove();
});

beforeEach(async () => {
  made += 1;
  at = `/fault-${made}/`;
  link = await startLink(etcd.port);
  store = openEtcdStore({ endpoints: [`http://127.0.0.1:${link.port}`], callTimeoutMs, pageSize: 1_000 });
  elsewhere = openEtcdStore({ endpoints: [etcd.endpoint] });
});

afterEach(async () => {
  etcd.thaw();
  await Promise.all(watchers.splice(0).map((watcher) => watcher.stop()));
  await Promise.all([store.close(), elsewhere.close(), link.close()]);
});

function watch(from: Store = store): Watcher {
  const watcher = new Watcher(from, at);
  watchers.push(watcher);
  return watcher;
}

/** A watch that has been heard on its stream, not only in its snapshot. */
async function liveWatch(): Promise<Watcher> {
  const watcher = watch();
  await watcher.until(({ mirror }) => mirror.complete);
  await elsewhere.transact({ conditions: [], writes: [put('live')] });
  await watcher.until(({ notices }) => notices.at(-1)?.type === 'events');
  return watcher;
}

const put = (key: string, value = '') => ({ put: at + key, value });

async function writeKeys(count: number): Promise<void> {
  for (let first = 0; first < count; first += 1) {
    const outcome = await elsewhere.transact({ conditions: [], writes: [put(`${first}`)] });
    expect(outcome.outcome).toBe('committed');
  }
}

/** Events told, each counted as often as it was told. */
function eventsTold(watcher: Watcher): number {
  return watcher.notices.reduce(
    (sum, notice) => sum + (notice.type === 'events' ? notice.events.length : 0),
    0,
  );
}

describe('a watch', () => {
  test('delivers 2,000 events after a cut, and another cut as soon as it is back', async () => {
    const watcher = watch();
    await watcher.until(({ mirror }) => mirror.complete);
    await link.cut();
    await watcher.until(({ mirror }) => !mirror.connected);
    await writeKeys(2_000);
    await link.mend();
    await watcher.until(({ mirror }) => mirror.connected);
    await link.cut();
    await watcher.until(({ mirror }) => !mirror.connected);
    await link.mend();
    await watcher.until(({ mirror }) => [...mirror.entries(at)].length === 2_000);
    expect(eventsTold(watcher)).toBe(2_000);
    expect(watcher.types().filter((type) => type === 'snapshot')).toHaveLength(1);
  });

  test('delivers 5,000 events in batches with a cut after the first batch', async () => {
    const watcher = watch();
    await watcher.until(({ mirror }) => mirror.complete);
    await link.cut();
    await watcher.until(({ mirror }) => !mirror.connected);
    await writeKeys(5_000);
    await link.mend();
    await watcher.until((told) => eventsTold(told) > 0);
    await link.cut();
    const before = eventsTold(watcher);
    await link.mend();
    await watcher.until(({ mirror }) => [...mirror.entries(at)].length === 5_000);
    expect(before).toBeLessThan(5_000);
    expect(eventsTold(watcher)).toBe(5_000);
  });

  test('is whole again when the history was compacted while it was away', async () => {
    await elsewhere.transact({ conditions: [], writes: [put('deleted'), put('changed', 'old')] });
    const watcher = watch();
    await watcher.until(({ mirror }) => mirror.complete);
    await link.cut();
    await watcher.until(({ mirror }) => !mirror.connected);
    await elsewhere.transact({ conditions: [], writes: [{ delete: `${at}deleted` }] });
    const last = await elsewhere.transact({ conditions: [], writes: [put('changed', 'new')] });
    if (last.outcome === 'committed') await admin.kv.compact({ revision: String(last.revision) });
    await link.mend();
    await watcher.until(({ seen }) => seen.changed === 'new');
    expect(watcher.seen).toEqual({ changed: 'new' });
    await elsewhere.transact({ conditions: [], writes: [put('after')] });
    await watcher.until(({ seen }) => seen.after === '');
  });

  test('notices that the server is frozen, and goes on when it thaws', async () => {
    const watcher = await liveWatch();
    etcd.freeze();
    await watcher.until(({ mirror }) => !mirror.connected);
    etcd.thaw();
    await watcher.until(({ mirror }) => mirror.connected);
    await elsewhere.transact({ conditions: [], writes: [put('after')] });
    await watcher.until(({ seen }) => seen.after === '');
  });

  test('notices that the link swallows everything, and goes on when it is mended', async () => {
    const watcher = await liveWatch();
    link.stall();
    await watcher.until(({ mirror }) => !mirror.connected);
    await elsewhere.transact({ conditions: [], writes: [put('meanwhile')] });
    await link.mend();
    await watcher.until(({ seen }) => seen.meanwhile === '');
  });

  test('survives a restart of the server', async () => {
    const watcher = await liveWatch();
    await etcd.stop();
    await watcher.until(({ mirror }) => !mirror.connected);
    await etcd.start();
    await watcher.until(({ mirror }) => mirror.connected);
    await watch(elsewhere).until(({ mirror }) => mirror.connected);
    await elsewhere.transact({ conditions: [], writes: [put('after')] });
    await watcher.until(({ seen }) => seen.after === '');
  });

  test('is renewed and checked without the consumer noticing', async () => {
    const checked = openEtcdStore({ endpoints: [etcd.endpoint], watchRenewalMs: 20 });
    try {
      const watcher = watch(checked);
      await watcher.until(({ mirror }) => mirror.complete);
      await writeKeys(300);
      await elsewhere.transact({ conditions: [], writes: [{ delete: `${at}7` }, put('8', 'changed')] });
      await watcher.until(({ seen }) => seen[8] === 'changed');
      expect(eventsTold(watcher)).toBe(302);
      expect(new Set(watcher.types())).toEqual(new Set(['snapshot', 'events']));
      await watcher.stop();
    } finally {
      await checked.close();
    }
  });

  test('tells of keys and values that are no text, and of what follows', async () => {
    const watcher = await liveWatch();
    const notText = Buffer.from([0xff, 0xfe, 0x00, 0x80]);
    await admin.put(Buffer.concat([Buffer.from(at), notText])).value(notText);
    await admin.put(`${at}damaged`).value(notText);
    await elsewhere.transact({ conditions: [], writes: [put('after')] });
    await watcher.until(({ seen }) => seen.after === '');
    expect(watcher.seen.damaged).toBe(notText.toString());
    expect((await store.list(at)).entries).toHaveLength(4);
  });

  test('begins before the server does', async () => {
    await etcd.stop();
    const watcher = watch();
    await watcher.until(({ notices }) => notices.length > 0);
    await etcd.start();
    await watcher.until(({ mirror }) => mirror.connected && mirror.complete);
    expect(watcher.types().slice(0, 2)).toEqual(['lost', 'snapshot']);
  });
});

describe('a call', () => {
  test('that lists is complete, though the history is compacted under it', async () => {
    await writeKeys(3_000);
    for (let round = 0; round < 10; round += 1) {
      const listing = store.list(at);
      const outcome = await elsewhere.transact({ conditions: [], writes: [put('0', `${round}`)] });
      if (outcome.outcome === 'committed') await admin.kv.compact({ revision: String(outcome.revision) });
      expect((await listing).entries).toHaveLength(3_000);
    }
  });

  test('to a frozen server ends, and says which server did not answer', async () => {
    await store.get(at);
    etcd.freeze();
    const failure = await store.get(at).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WeftError);
    expect(failure).toMatchObject({
      code: 'timeout',
      message: `the store (etcd at http://127.0.0.1:${link.port}) did not answer within 1 s; check that it runs and is reachable from this host`,
    });
    const calls = [
      store.list(at),
      store.grantLease(5),
      store.transact({ conditions: [], writes: [put('a')] }),
    ];
    for (const { status } of await Promise.allSettled(calls))
      expect(['rejected', 'fulfilled']).toContain(status);
  });

  test('goes to another endpoint when one is frozen or gone', async () => {
    const second = await startLink(etcd.port);
    const endpoints = [link, second].map(({ port }) => `http://127.0.0.1:${port}`);
    const both = openEtcdStore({ endpoints, callTimeoutMs, random: () => 0 });
    try {
      await both.get(at);
      link.stall();
      expect(await both.get(at)).toBeUndefined();
      await link.mend();
      await second.cut();
      expect(await both.get(at)).toBeUndefined();
    } finally {
      await both.close();
      await second.close();
    }
  });

  test('that writes goes to another endpoint when it could not be sent', async () => {
    await link.cut();
    const endpoints = [`http://127.0.0.1:${link.port}`, etcd.endpoint];
    const both = openEtcdStore({ endpoints, callTimeoutMs, random: () => 0 });
    try {
      expect(await both.transact({ conditions: [], writes: [put('a')] })).toMatchObject({
        outcome: 'committed',
      });
    } finally {
      await both.close();
    }
  });

  test('to a server that is gone is refused at once, and the next after its return succeeds', async () => {
    await link.cut();
    const refused = store.transact({ conditions: [], writes: [put('a')] });
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      message: `the store (etcd at http://127.0.0.1:${link.port}) cannot be reached (connect ECONNREFUSED 127.0.0.1:${link.port}); check that it runs and is reachable from this host`,
    });
    await link.mend();
    await watch().until(({ mirror }) => mirror.connected);
    expect(await store.get(`${at}a`)).toBeUndefined();
  });
});

describe('a transaction', () => {
  const claim = (owner: string) => ({
    conditions: [{ key: `${at}claim`, revision: 0n }],
    writes: [put('claim', owner)],
  });

  /** @param afterReading what happens between the reading and the transaction */
  function settleClaim(owner: string, afterReading: () => void = () => {}): Promise<string> {
    return transactUntilSettled(store, {
      subject: 'claim',
      timeoutMs: 30_000,
      attempt: async () => {
        const held = await store.get(`${at}claim`);
        if (held !== undefined) return { done: held.value };
        afterReading();
        return {
          transaction: claim(owner),
          result: owner,
          proof: { key: `${at}claim`, holds: (found) => found?.value === owner },
        };
      },
    });
  }

  test('whose answer is dropped is unknown, though it holds', async () => {
    await store.get(at);
    link.swallowAnswers();
    expect(await store.transact(claim('me'))).toMatchObject({ outcome: 'unknown' });
    expect(await elsewhere.get(`${at}claim`)).toMatchObject({ value: 'me' });
  });

  test('whose answer is dropped is settled as committed, once', async () => {
    let plans = 0;
    const settled = settleClaim('me', () => {
      plans += 1;
      link.swallowAnswers();
    });
    await watch(elsewhere).until(({ seen }) => seen.claim === 'me');
    await link.mend();
    expect(await settled).toBe('me');
    expect(plans).toBe(1);
    const { entries } = await elsewhere.list(at);
    expect(entries).toMatchObject([{ value: 'me' }]);
  });

  test('that waits in a frozen server is settled when it thaws, once', async () => {
    let plans = 0;
    const settled = settleClaim('me', () => {
      plans += 1;
      etcd.freeze();
    });
    await watch().until((told) => told.types().includes('lost'));
    etcd.thaw();
    expect(await settled).toBe('me');
    expect(plans).toBe(1);
    expect((await elsewhere.list(at)).entries).toHaveLength(1);
  });
});

describe('a store that is full', () => {
  test('refuses to put and says what to do; it still reads and deletes', async () => {
    const small = await startEtcd(['--quota-backend-bytes=4194304']);
    const full = openEtcdStore({ endpoints: [small.endpoint], callTimeoutMs });
    try {
      const fill = async () => {
        for (;;) await full.transact({ conditions: [], writes: [put('large', 'x'.repeat(1_000_000))] });
      };
      await expect(fill()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/is full .*compact and defragment/),
      });
      expect(await full.get(`${at}large`)).toBeDefined();
      const deletion = await full.transact({ conditions: [], writes: [{ delete: `${at}large` }] });
      expect(deletion.outcome).toBe('committed');
    } finally {
      await full.close();
      await small.remove();
    }
  });
});
