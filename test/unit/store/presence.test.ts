import { expect, test } from 'vitest';
import { WeftError } from '../../../src/errors.ts';
import { Presence } from '../../../src/store/presence.ts';
import { skippingClock } from '../../fakes/clock.ts';
import { FakeStore } from '../../fakes/store.ts';

const ttlSeconds = 30;

/** Runs a presence for so long, by its own clock; `meanwhile` is called at first and whenever it has slept. */
async function live(
  forMs: number,
  meanwhile: (nowMs: number, host: { store: FakeStore; presence: Presence }) => void,
) {
  const store = new FakeStore();
  const abort = new AbortController();
  const failures: unknown[] = [];
  let announced = 0;
  let lastMs = 0;
  const clock = skippingClock((nowMs) => {
    store.advance(nowMs - lastMs);
    lastMs = nowMs;
    meanwhile(nowMs, { store, presence });
    if (nowMs >= forMs) abort.abort();
  });
  const presence = new Presence(store, {
    ttlSeconds,
    announce: async (lease) => {
      const outcome = await store.transact({
        conditions: [],
        writes: [{ put: 'alive/me', value: '', lease }],
      });
      if (outcome.outcome !== 'committed') throw new WeftError('unavailable', 'not announced');
      announced += 1;
    },
    onFailure: (error) => failures.push(error),
    clock,
    random: () => 0.5,
  });
  expect(presence.state).toBe('absent');
  meanwhile(0, { store, presence });
  await presence.run(abort.signal);
  return { store, presence, failures, announced };
}

test('the key stays for as long as the host runs', async () => {
  const seen = new Set<boolean>();
  const { announced, failures } = await live(600_000, (nowMs, { store }) => {
    if (nowMs === 0) return;
    void store.get('alive/me').then((entry) => seen.add(entry !== undefined));
  });
  expect(announced).toBe(1);
  expect(failures).toEqual([]);
  expect(seen).toEqual(new Set([true]));
});

test('a store that is away for less than the lease costs nothing', async () => {
  const states = new Set<string>();
  const { store, presence, announced, failures } = await live(120_000, (nowMs, host) => {
    if (nowMs > 40_000 && nowMs < 55_000) host.store.stop();
    else host.store.start();
    if (nowMs > 0) states.add(host.presence.state);
  });
  expect(failures.length).toBeGreaterThan(0);
  expect(announced).toBe(1);
  expect(states).toEqual(new Set(['present']));
  expect(presence.state).toBe('present');
  expect(await store.get('alive/me')).toBeDefined();
});

test('becomes suspect before its lease can have ended', async () => {
  let suspectAtMs = 0;
  await live(120_000, (nowMs, { store, presence }) => {
    if (nowMs >= 10_000) store.stop();
    if (presence.state === 'suspect' && suspectAtMs === 0) suspectAtMs = nowMs;
  });
  expect(suspectAtMs).toBeGreaterThan(0);
  expect(suspectAtMs).toBeLessThanOrEqual(ttlSeconds * 1000);
});

test('announces itself again when its lease has ended', async () => {
  const { store, presence, announced } = await live(300_000, (nowMs, host) => {
    if (nowMs > 60_000 && nowMs < 120_000) host.store.stop();
    else host.store.start();
  });
  expect(announced).toBe(2);
  expect(presence.state).toBe('present');
  expect(await store.get('alive/me')).toBeDefined();
});

test('begins when the store does', async () => {
  const { presence, announced } = await live(120_000, (nowMs, { store }) => {
    if (nowMs < 60_000) store.stop();
    else store.start();
  });
  expect(announced).toBe(1);
  expect(presence.state).toBe('present');
});

test('announces again until it succeeds', async () => {
  const { announced, failures, presence } = await live(120_000, (nowMs, { store }) => {
    if (nowMs === 0) store.loseAnswers(1);
  });
  expect(announced).toBe(1);
  expect(failures).toHaveLength(1);
  expect(presence.state).toBe('present');
});
