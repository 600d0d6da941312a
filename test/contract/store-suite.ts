/** What every store must do: run over the real one and over the fake that stands for it in other tests. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { transactUntilSettled } from '../../src/store/settle.ts';
import type { Condition, Store, Write } from '../../src/store/store.ts';
import { Watcher } from '../fakes/watcher.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Ends the connections; `mend` lets them come back. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Requests are taken and not answered; `thaw` lets the store go on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Transactions take effect and their answers are lost, until `mend`. */
  loseAnswers(): Promise<void>;
  /** Written by somebody else, whatever state our own connection is in. */
  writeElsewhere(writes: readonly Write[]): Promise<void>;
  /** Forgets the history. */
  compact(): Promise<void>;
  /** For leases; the real store makes us wait. */
  passTime(durationMs: number): Promise<void>;
  dispose(): Promise<void>;
}

let made = 0;

export function storeSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let under: StoreUnderTest;
    let store: Store;
    let at: string;
    const watchers: Watcher[] = [];

    beforeEach(async () => {
      under = await open();
      store = under.store;
      made += 1;
      at = `/suite-${made}/`;
    });

    afterEach(async () => {
      await Promise.all(watchers.splice(0).map((watcher) => watcher.stop()));
      await under.dispose();
    });

    function watch(prefix: string, before?: string): Watcher {
      const watcher = new Watcher(store, prefix, () => {}, before);
      watchers.push(watcher);
      return watcher;
    }

    async function write(...writes: Write[]): Promise<bigint> {
      const outcome = await store.transact({ conditions: [], writes });
      if (outcome.outcome !== 'committed') throw new Error(`a write without conditions: ${outcome.outcome}`);
      return outcome.revision;
    }

    const put = (key: string, value = key) => ({ put: at + key, value });
    const remove = (key: string) => ({ delete: at + key });
    const outcome = async (conditions: Condition[]) =>
      (await store.transact({ conditions, writes: [put('written')] })).outcome;

    describe('reading', () => {
      test('a key that does not exist is undefined', async () => {
        expect(await store.get(`${at}a`)).toBeUndefined();
      });

      test('a key has the value and the revision of its last write', async () => {
        await write(put('a', 'old'));
        const revision = await write(put('a', 'né 10.77.0.0/16 ✓'));
        await write(put('b'));
        expect(await store.get(`${at}a`)).toEqual({ key: `${at}a`, value: 'né 10.77.0.0/16 ✓', revision });
      });

      test('a listing holds what is below its prefix, in order of keys, and the revision it was read at', async () => {
        await write(put('net/b'), put('net/a'), put('net2/c'), put('net'));
        const revision = await write(put('net/é'));
        const listing = await store.list(`${at}net/`);
        expect(listing.entries.map(({ key }) => key)).toEqual([`${at}net/a`, `${at}net/b`, `${at}net/é`]);
        expect(listing.revision).toBe(revision);
      });

      test('a listing may be empty', async () => {
        expect((await store.list(at)).entries).toEqual([]);
      });

      test('a listing of thousands of keys is complete', async () => {
        for (let page = 0; page < 25; page += 1) {
          await write(...Array.from({ length: 100 }, (_, index) => put(`${page}/${index}`, 'x'.repeat(200))));
        }
        const { entries } = await store.list(at);
        expect(entries).toHaveLength(2_500);
        expect(new Set(entries.map(({ key }) => key)).size).toBe(2_500);
      });
    });

    describe('conditions', () => {
      test('a key at the revision of its last write', async () => {
        const old = await write(put('a'));
        const key = `${at}a`;
        const revision = await write(put('a'));
        expect(await outcome([{ key, revision: old }])).toBe('conflict');
        expect(await outcome([{ key, revision: 0n }])).toBe('conflict');
        expect(await outcome([{ key, revision }])).toBe('committed');
      });

      test('a key that is absent', async () => {
        const key = `${at}a`;
        expect(await outcome([{ key, exists: true }])).toBe('conflict');
        expect(await outcome([{ key, revision: 7n }])).toBe('conflict');
        expect(await outcome([{ key, revision: 0n }])).toBe('committed');
        await write(put('a'));
        await write(remove('a'));
        expect(await outcome([{ key, revision: 0n }])).toBe('committed');
      });

      test('a key that exists', async () => {
        await write(put('a', ''));
        expect(await outcome([{ key: `${at}a`, exists: true }])).toBe('committed');
      });

      test('nothing below a prefix', async () => {
        await write(put('ab'));
        expect(await outcome([{ prefix: `${at}a/` }])).toBe('committed');
        await write(put('a/x'));
        expect(await outcome([{ prefix: `${at}a/` }])).toBe('conflict');
        await write(remove('a/x'));
        expect(await outcome([{ prefix: `${at}a/` }])).toBe('committed');
      });

      test('nothing below a prefix except one key', async () => {
        const condition = { prefix: `${at}a/`, emptyExcept: `${at}a/m` };
        expect(await outcome([condition])).toBe('committed');
        await write(put('a/m'));
        expect(await outcome([condition])).toBe('committed');
        for (const other of ['a/l', 'a/m/', 'a/m0', 'a/n']) {
          await write(put(other));
          expect(await outcome([condition]), other).toBe('conflict');
          await write(remove(other));
        }
        expect(await outcome([condition])).toBe('committed');
      });

      test('nothing put below a prefix since a revision', async () => {
        expect(await outcome([{ prefix: `${at}a/`, unchangedSince: 0n }])).toBe('committed');
        await write(put('a/1'));
        const unchangedSince = await write(put('a/2'));
        const condition = { prefix: `${at}a/`, unchangedSince };
        await write(put('b/1'));
        expect(await outcome([condition])).toBe('committed');
        await write(remove('a/1'));
        expect(await outcome([condition])).toBe('committed');
        await write(put('a/2'));
        expect(await outcome([condition])).toBe('conflict');
      });

      test('all must hold', async () => {
        await write(put('a'));
        expect(
          await outcome([
            { key: `${at}a`, exists: true },
            { key: `${at}b`, exists: true },
          ]),
        ).toBe('conflict');
      });
    });

    describe('writing', () => {
      test('a conflict writes nothing', async () => {
        const conditions = [{ key: `${at}missing`, exists: true as const }];
        const writes = [put('a'), { deletePrefix: `${at}kept/` }];
        await write(put('kept/1'));
        expect(await store.transact({ conditions, writes })).toEqual({ outcome: 'conflict' });
        expect((await store.list(at)).entries.map(({ key }) => key)).toEqual([`${at}kept/1`]);
      });

      test('all writes of a transaction have one revision', async () => {
        const revision = await write(put('a'), put('b'));
        expect((await store.list(at)).entries.map((entry) => entry.revision)).toEqual([revision, revision]);
      });

      test('deletes a key, or all below a prefix, and what is not there', async () => {
        await write(put('a'), put('b/1'), put('b/2'), put('b2'));
        await write(remove('a'), remove('never'), { deletePrefix: `${at}b/` });
        expect((await store.list(at)).entries.map(({ key }) => key)).toEqual([`${at}b2`]);
      });

      test('takes as much as one transaction may hold', async () => {
        const writes = Array.from({ length: 128 }, (_, index) => put(`${index}`));
        const conditions = writes.map((one) => ({ key: one.put, revision: 0n }));
        expect((await store.transact({ conditions, writes })).outcome).toBe('committed');
        await write(put('large', 'x'.repeat(1_400_000)));
        expect((await store.get(`${at}large`))?.value).toHaveLength(1_400_000);
      });

      test.each([
        ['too many writes', () => Array.from({ length: 129 }, (_, index) => put(`${index}`))],
        ['too large a value', () => [put('a', 'x'.repeat(1_600_000))]],
        ['a key twice', () => [put('a', '1'), put('a', '2')]],
        ['a put and its deletion', () => [put('a/1'), { deletePrefix: `${at}a/` }]],
      ])('refuses %s and goes on', async (_, writes) => {
        const refused = store.transact({ conditions: [], writes: writes() });
        await expect(refused).rejects.toMatchObject({ code: 'invalid' });
        expect((await store.list(at)).entries).toEqual([]);
        await write(put('next'));
      });
    });

    describe('watching', () => {
      test('tells what there is, then what changes', async () => {
        await write(put('a', '1'), put('b', '1'));
        const revision = await write(put('c', '1'));
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        expect(watcher.notices[0]).toMatchObject({ type: 'snapshot', revision });
        expect(watcher.seen).toEqual({ a: '1', b: '1', c: '1' });

        const changed = await write(put('a', '2'), remove('b'), put('d', '1'));
        await watcher.until(({ mirror }) => mirror.revision >= changed);
        expect(watcher.seen).toEqual({ a: '2', c: '1', d: '1' });
      });

      test('tells a transaction as a whole', async () => {
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        const revision = await write(put('a'), put('b'), put('c'));
        await watcher.until(({ mirror }) => mirror.revision >= revision);
        const batches = watcher.notices.filter(
          (notice) => notice.type === 'events' && notice.events.length > 0,
        );
        expect(batches).toMatchObject([{ events: [{}, {}, {}], revision }]);
      });

      test('tells nothing of other prefixes', async () => {
        const watcher = watch(`${at}net/`);
        await watcher.until(({ mirror }) => mirror.complete);
        await write(put('net2/a'), put('net'));
        const revision = await write(put('net/a'));
        await watcher.until(({ mirror }) => mirror.revision >= revision);
        expect(watcher.seen).toEqual({ a: 'net/a' });
      });

      test('tells nothing of keys from the one on at which it is to end', async () => {
        await write(put('b/1'), put('c'), put('d'));
        const watcher = watch(at, `${at}c`);
        await watcher.until(({ mirror }) => mirror.complete);
        expect(watcher.seen).toEqual({ 'b/1': 'b/1' });
        await write(put('c', '2'), put('c/1'), put('d', '2'));
        const revision = await write(put('b/2'), remove('d'));
        await watcher.until(({ mirror }) => mirror.revision >= revision);
        expect(watcher.seen).toEqual({ 'b/1': 'b/1', 'b/2': 'b/2' });
      });

      test('ends when it is told to', async () => {
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        await watcher.stop();
        const told = watcher.notices.length;
        await write(put('a'));
        expect(watcher.notices).toHaveLength(told);
      });

      test('says once that the store is lost, says when it is back, and has missed nothing', async () => {
        await write(put('a', '1'), put('b', '1'));
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        await under.cut();
        await watcher.until(({ mirror }) => !mirror.connected);
        await under.mend();
        await watcher.until(({ mirror }) => mirror.connected);
        expect(watcher.types().filter((type) => type === 'lost')).toHaveLength(1);

        await under.cut();
        await under.writeElsewhere([put('a', '2'), remove('b'), put('c', '1')]);
        await under.mend();
        await watcher.until(({ seen }) => seen.c === '1');
        expect(watcher.seen).toEqual({ a: '2', c: '1' });
        expect(watcher.types().filter((type) => type === 'snapshot')).toHaveLength(1);
      });

      test('begins with a new snapshot when the history it missed is gone', async () => {
        await write(put('a', '1'), put('b', '1'));
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        await under.cut();
        await watcher.until(({ mirror }) => !mirror.connected);
        await under.writeElsewhere([put('a', '2'), remove('b')]);
        await under.writeElsewhere([put('a', '3'), put('c', '1')]);
        await under.compact();
        await under.mend();
        await watcher.until(({ mirror }) => mirror.connected && mirror.get(`${at}c`) !== undefined);
        expect(watcher.seen).toEqual({ a: '3', c: '1' });
        const revision = await write(put('a', '4'));
        await watcher.until(({ mirror }) => mirror.revision >= revision);
        expect(watcher.seen).toEqual({ a: '4', c: '1' });
      });
    });

    describe('leases', () => {
      test('keys of a lease vanish when it is not renewed', async () => {
        const lease = await store.grantLease(2);
        await write({ ...put('leased'), lease }, put('durable'));
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        await under.passTime(2_500);
        await watcher.until(({ seen }) => seen.leased === undefined);
        expect(watcher.seen).toEqual({ durable: 'durable' });
        expect(await store.renewLease(lease)).toBe(false);
        const late = store.transact({ conditions: [], writes: [{ ...put('leased'), lease }] });
        await expect(late).rejects.toMatchObject({ code: 'not-found' });
        expect(await store.get(`${at}leased`)).toBeUndefined();
      });

      test('a renewed lease keeps its keys', async () => {
        const lease = await store.grantLease(3);
        await write({ ...put('leased'), lease });
        for (let round = 0; round < 5; round += 1) {
          await under.passTime(1_000);
          expect(await store.renewLease(lease)).toBe(true);
        }
        expect(await store.get(`${at}leased`)).toBeDefined();
      });
    });

    describe('failing', () => {
      test('a store that cannot be reached is reported as such, and nothing is written', async () => {
        await write(put('a', '1'));
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.complete);
        await under.cut();
        await watcher.until(({ mirror }) => !mirror.connected);
        await expect(store.get(`${at}a`)).rejects.toMatchObject({ code: 'unavailable' });
        await expect(store.list(at)).rejects.toMatchObject({ code: 'unavailable' });
        await expect(store.grantLease(5)).rejects.toMatchObject({ code: 'unavailable' });
        await expect(outcome([])).rejects.toMatchObject({ code: 'unavailable' });
        await under.mend();
        await watcher.until(({ mirror }) => mirror.connected);
        expect(watcher.seen).toEqual({ a: '1' });
      });

      test('a frozen store ends reads in time, and leaves the outcome of a transaction unknown', async () => {
        await write(put('a', '1'));
        await under.freeze();
        expect(await store.transact({ conditions: [], writes: [put('b')] })).toMatchObject({
          outcome: 'unknown',
          cause: { code: 'timeout' },
        });
        const failure = await store.get(`${at}a`).catch((error: unknown) => error);
        expect(failure).toMatchObject({ code: expect.stringMatching(/^(timeout|unavailable)$/) });
        await under.thaw();
        await under.mend();
        const watcher = watch(at);
        await watcher.until(({ mirror }) => mirror.connected);
        expect(watcher.seen).toMatchObject({ a: '1' });
      });

      test('a transaction whose answer was lost is unknown, and is settled as committed once', async () => {
        await write(put('count', '0'));
        const key = `${at}count`;
        let plans = 0;
        let sends = 0;
        const observed: Pick<Store, 'get' | 'transact'> = {
          get: (wanted) => store.get(wanted),
          async transact(transaction) {
            sends += 1;
            if (sends === 1) await under.loseAnswers();
            const answer = await store.transact(transaction);
            if (sends === 1) {
              expect(answer.outcome).toBe('unknown');
              await under.mend();
            }
            return answer;
          },
        };
        const result = await transactUntilSettled(observed, {
          subject: 'count',
          attempt: async () => {
            plans += 1;
            const entry = await store.get(key);
            const value = `${Number(entry?.value) + 1}`;
            return {
              transaction: {
                conditions: [{ key, revision: entry?.revision ?? 0n }],
                writes: [{ put: key, value }],
              },
              result: value,
              proof: { key, holds: (found) => found?.value === value },
            };
          },
        });
        expect(result).toBe('1');
        expect(plans).toBe(1);
        expect(await store.get(key)).toMatchObject({ value: '1' });
      });
    });
  });
}
