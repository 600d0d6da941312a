import { expect, test } from 'vitest';
import { WeftError } from '../../../src/errors.ts';
import { type Operation, type Plan, transactUntilSettled } from '../../../src/store/settle.ts';
import { skippingClock } from '../../fakes/clock.ts';
import { FakeStore } from '../../fakes/store.ts';

/** Appends a name to the list that the key holds, as two hosts would do at the same time. */
async function planAppend(store: FakeStore, key: string, name: string): Promise<Plan<number>> {
  const entry = await store.get(key);
  const names = entry === undefined ? [] : entry.value.split(',');
  if (names.includes(name)) return { done: names.indexOf(name) };
  return {
    transaction: {
      conditions: [{ key, revision: entry?.revision ?? 0n }],
      writes: [{ put: key, value: [...names, name].join(',') }],
    },
    result: names.length,
    proof: { key, holds: (found) => found?.value.split(',').includes(name) === true },
  };
}

function append(store: FakeStore, name: string, extra: Partial<Operation<number>> = {}): Operation<number> {
  return {
    subject: `append ${name}`,
    attempt: () => planAppend(store, 'list', name),
    clock: skippingClock(),
    random: () => 0.5,
    ...extra,
  };
}

const listed = async (store: FakeStore) => (await store.get('list'))?.value;
const put = (key: string, value: string) => ({ conditions: [], writes: [{ put: key, value }] });

test('commits at the first try when nobody interferes', async () => {
  const store = new FakeStore();
  expect(await transactUntilSettled(store, append(store, 'a'))).toBe(0);
  expect(await listed(store)).toBe('a');
  expect(store.sent).toHaveLength(1);
});

test('a plan without a write returns its result and sends nothing', async () => {
  const store = new FakeStore();
  await store.transact(put('list', 'a,b'));
  expect(await transactUntilSettled(store, append(store, 'b'))).toBe(1);
  expect(store.sent).toHaveLength(1);
});

test('plans again from a fresh reading after a conflict', async () => {
  const store = new FakeStore();
  let interfered = false;
  const operation = append(store, 'mine', {
    attempt: async () => {
      const plan = await planAppend(store, 'list', 'mine');
      if (!interfered) await store.transact(put('list', 'theirs'));
      interfered = true;
      return plan;
    },
  });
  expect(await transactUntilSettled(store, operation)).toBe(1);
  expect(await listed(store)).toBe('theirs,mine');
});

test('gives up after so many conflicts, with nothing written', async () => {
  const store = new FakeStore();
  let round = 0;
  const operation = append(store, 'mine', {
    attempts: 3,
    attempt: async () => {
      const plan = await planAppend(store, 'list', 'mine');
      round += 1;
      await store.transact(put('list', `theirs${round}`));
      return plan;
    },
  });
  await expect(transactUntilSettled(store, operation)).rejects.toMatchObject({ code: 'unavailable' });
  expect(round).toBe(3);
  expect(await listed(store)).toBe('theirs3');
});

test('a commit whose answer was lost counts once', async () => {
  const store = new FakeStore();
  store.loseAnswers(1);
  expect(await transactUntilSettled(store, append(store, 'a'))).toBe(0);
  expect(await listed(store)).toBe('a');
});

test('a commit whose answer was lost is recognised after others built upon it', async () => {
  const store = new FakeStore();
  let plans = 0;
  store.loseAnswers(1);
  const operation = append(store, 'a', {
    attempt: () => {
      plans += 1;
      return planAppend(store, 'list', 'a');
    },
    clock: skippingClock(() => store.writeElsewhere([{ put: 'list', value: 'a,b' }])),
  });
  expect(await transactUntilSettled(store, operation)).toBe(0);
  expect(plans).toBe(1);
  expect(await listed(store)).toBe('a,b');
});

test('an unknown outcome that was overtaken by another host leads to a new plan', async () => {
  const store = new FakeStore();
  store.freeze();
  const operation = append(store, 'a', {
    attempt: async () => {
      store.start();
      const plan = await planAppend(store, 'list', 'a');
      if (store.sent.length === 0) {
        await store.transact(put('list', 'theirs'));
        store.freeze();
      }
      return plan;
    },
    clock: skippingClock(() => store.start()),
  });
  expect(await transactUntilSettled(store, operation)).toBe(1);
  expect(await listed(store)).toBe('theirs,a');
});

test('a request that a frozen store takes late changes nothing after it was settled', async () => {
  const store = new FakeStore();
  let frozen = false;
  const operation = append(store, 'a', {
    attempt: async () => {
      const plan = await planAppend(store, 'list', 'a');
      if (!frozen) store.freeze();
      frozen = true;
      return plan;
    },
    clock: skippingClock(() => store.start()),
  });
  expect(await transactUntilSettled(store, operation)).toBe(0);
  expect(store.sent).toHaveLength(2);
  expect(await listed(store)).toBe('a');
});

test('says that the outcome is unknown when the store does not come back, and never plans twice', async () => {
  const store = new FakeStore();
  let plans = 0;
  const operation = append(store, 'a', {
    timeoutMs: 5_000,
    attempt: async () => {
      plans += 1;
      const plan = await planAppend(store, 'list', 'a');
      store.freeze();
      return plan;
    },
  });
  const failure = await transactUntilSettled(store, operation).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WeftError);
  expect(failure).toMatchObject({ code: 'unknown-outcome', cause: { code: 'timeout' } });
  expect(plans).toBe(1);
  store.start();
  expect(await listed(store)).toBe('a');
});

test('a store that cannot be reached is reported at once when nothing is in doubt', async () => {
  const store = new FakeStore();
  const operation = append(store, 'a', {
    attempt: async () => {
      const plan = await planAppend(store, 'list', 'a');
      store.stop();
      return plan;
    },
  });
  await expect(transactUntilSettled(store, operation)).rejects.toMatchObject({ code: 'unavailable' });
  expect(store.sent).toHaveLength(1);
});

test('a signal ends the waiting', async () => {
  const store = new FakeStore();
  const abort = new AbortController();
  const operation = append(store, 'a', {
    signal: abort.signal,
    timeoutMs: Number.POSITIVE_INFINITY,
    attempt: async () => {
      const plan = await planAppend(store, 'list', 'a');
      store.freeze();
      return plan;
    },
    clock: skippingClock((nowMs) => nowMs > 60_000 && abort.abort()),
  });
  await expect(transactUntilSettled(store, operation)).rejects.toMatchObject({ code: 'unknown-outcome' });
});

test.each([
  ['no condition', { conditions: [], writes: [{ put: 'k', value: '' }] }],
  [
    'a condition on another key',
    { conditions: [{ key: 'j', revision: 1n }], writes: [{ put: 'k', value: '' }] },
  ],
  ['deleting what has to be absent', { conditions: [{ key: 'k', revision: 0n }], writes: [{ delete: 'k' }] }],
  [
    'an existing key that is put',
    { conditions: [{ key: 'k', exists: true as const }], writes: [{ put: 'k', value: '' }] },
  ],
])('refuses a transaction that two copies could both commit: %s', async (_, transaction) => {
  const store = new FakeStore();
  const attempt = async () => ({ transaction, result: 0, proof: { key: 'k', holds: () => false } });
  await expect(transactUntilSettled(store, append(store, 'a', { attempt }))).rejects.toMatchObject({
    code: 'internal',
  });
  expect(store.sent).toHaveLength(0);
});

test.each([
  ['a put at a revision', { conditions: [{ key: 'k', revision: 0n }], writes: [{ put: 'k', value: '' }] }],
  ['a put in an empty prefix', { conditions: [{ prefix: 'k' }], writes: [{ put: 'k/1', value: '' }] }],
  [
    'a put in an unchanged prefix',
    { conditions: [{ prefix: 'k', unchangedSince: 1n }], writes: [{ put: 'k/1', value: '' }] },
  ],
])('accepts a transaction that excludes itself: %s', async (_, transaction) => {
  const store = new FakeStore();
  const attempt = async () => ({ transaction, result: 7, proof: { key: 'k', holds: () => false } });
  expect(await transactUntilSettled(store, append(store, 'a', { attempt }))).toBe(7);
  expect(await store.transact(transaction)).toEqual({ outcome: 'conflict' });
});
