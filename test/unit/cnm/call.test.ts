import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Call, describe as name, performer, type Subject } from '../../../src/cnm/call.ts';

const deadlineMs = 8_000;

/** A call that records when it starts and ends, and ends when told. */
function heldCall(subject: Subject, events: string[], label: string) {
  const gate = Promise.withResolvers<void>();
  const work = async () => {
    events.push(`${label} starts`);
    await gate.promise;
    events.push(`${label} ends`);
    return { label };
  };
  const run: Call = { subject, run: work };
  const make: Call = {
    subject,
    make: async () => ({
      answer: await work(),
      takeBack: async () => {
        events.push(`${label} taken back`);
      },
    }),
  };
  return { run, make, finish: gate.resolve, fail: gate.reject };
}

function setUp() {
  const events: string[] = [];
  const late: unknown[] = [];
  const perform = performer({
    deadlineMs,
    onLate: (method, { subject }, failure) => late.push([method, subject, failure]),
  });
  return { events, late, perform };
}

/** Lets everything run that needs no time. */
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('calls about one object', () => {
  test.each<[string, Subject]>([
    ['network', { network: 'n' }],
    ['endpoint', { network: 'n', endpoint: 'e' }],
    ['pool', { pool: 'p', address: '10.0.0.1' }],
  ])('%s: run in the order in which they came', async (_kind, subject) => {
    const { events, perform } = setUp();
    const one = heldCall(subject, events, 'one');
    const two = heldCall(subject, events, 'two');
    const answers = [perform('M', one.run), perform('M', two.run)];
    two.finish();
    await settle();
    expect(events).toEqual(['one starts']);
    one.finish();
    expect(await Promise.all(answers)).toEqual([{ label: 'one' }, { label: 'two' }]);
    expect(events).toEqual(['one starts', 'one ends', 'two starts', 'two ends']);
  });

  test('run after one that failed', async () => {
    const { events, perform } = setUp();
    const one = heldCall({ network: 'n' }, events, 'one');
    const two = heldCall({ network: 'n' }, events, 'two');
    const failed = perform('M', one.run);
    const answered = perform('M', two.run);
    two.finish();
    one.fail(new Error('no'));
    await expect(failed).rejects.toThrow('no');
    expect(await answered).toEqual({ label: 'two' });
  });
});

test('calls about different objects, or none, do not wait for each other', async () => {
  const { events, perform } = setUp();
  const subjects = [
    { network: 'n' },
    { network: 'n', endpoint: 'a' },
    { network: 'n', endpoint: 'b' },
    {},
    {},
  ];
  const held = subjects.map((subject, index) => heldCall(subject, events, String(index)));
  const answers = held.map(({ run }) => perform('M', run));
  await settle();
  expect(events.toSorted()).toEqual(['0 starts', '1 starts', '2 starts', '3 starts', '4 starts']);
  for (const { finish } of held) finish();
  await Promise.all(answers);
});

describe('at its deadline', () => {
  test('a call fails with a sentence that names it, and its end is reported', async () => {
    const { events, late, perform } = setUp();
    const one = heldCall({ network: 'n' }, events, 'one');
    const failed = expect(perform('NetworkDriver.DeleteNetwork', one.run)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(
        /^weft did not finish NetworkDriver.DeleteNetwork for network n within 8 s/,
      ),
    });
    await vi.advanceTimersByTimeAsync(deadlineMs);
    await failed;
    expect(late).toEqual([]);
    one.finish();
    await settle();
    expect(late).toEqual([['NetworkDriver.DeleteNetwork', { network: 'n' }, undefined]]);
  });

  test('its later failure is reported', async () => {
    const { events, late, perform } = setUp();
    const one = heldCall({ network: 'n' }, events, 'one');
    const failed = expect(perform('M', one.run)).rejects.toMatchObject({ code: 'timeout' });
    await vi.advanceTimersByTimeAsync(deadlineMs);
    await failed;
    one.fail('why');
    await settle();
    expect(late).toEqual([['M', { network: 'n' }, 'why']]);
  });

  test('what is made too late is taken back before anything else happens to its object', async () => {
    const { events, perform } = setUp();
    const one = heldCall({ network: 'n' }, events, 'one');
    const two = heldCall({ network: 'n' }, events, 'two');
    two.finish();
    const failed = expect(perform('M', one.make)).rejects.toMatchObject({ code: 'timeout' });
    await vi.advanceTimersByTimeAsync(deadlineMs);
    await failed;
    const answered = perform('M', two.make);
    one.finish();
    expect(await answered).toEqual({ label: 'two' });
    expect(events).toEqual(['one starts', 'one ends', 'one taken back', 'two starts', 'two ends']);
  });

  test('what still waits for its turn is not made at all, but a removal is still carried out', async () => {
    const { events, perform } = setUp();
    const stuck = heldCall({ network: 'n' }, events, 'stuck');
    const made = heldCall({ network: 'n' }, events, 'made');
    const removed = heldCall({ network: 'n' }, events, 'removed');
    removed.finish();
    const failed = Promise.allSettled([stuck.run, made.make, removed.run].map((call) => perform('M', call)));
    await vi.advanceTimersByTimeAsync(deadlineMs);
    for (const { status } of await failed) expect(status).toBe('rejected');
    stuck.finish();
    await settle();
    expect(events).toEqual(['stuck starts', 'stuck ends', 'removed starts', 'removed ends']);
  });
});

test('a call that ends in time leaves no timer behind', async () => {
  const { events, late, perform } = setUp();
  const one = heldCall({ network: 'n' }, events, 'one');
  one.finish();
  await perform('M', one.make);
  expect(vi.getTimerCount()).toBe(0);
  expect(events).toEqual(['one starts', 'one ends']);
  expect(late).toEqual([]);
});

test.each<[Subject, string]>([
  [{}, 'M'],
  [{ network: '0123456789abcdef' }, 'M for network 0123456789ab'],
  [{ network: '0123456789abcdef', endpoint: 'e' }, 'M for endpoint e of network 0123456789ab'],
  [{ pool: '10.0.0.0/8' }, 'M for pool 10.0.0.0/8'],
  [{ pool: '1@10.0.0.0/8', address: '10.0.0.1' }, 'M for address 10.0.0.1 of pool 1@10.0.0.0/8'],
])('%j is named to the user', (subject, expected) => {
  expect(name('M', subject)).toBe(expected);
});
