import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Readiness } from '../../../src/agent/readiness.ts';

let isReady: boolean;
let readiness: Readiness;
beforeEach(() => {
  vi.useFakeTimers();
  isReady = false;
  readiness = new Readiness(() => isReady);
});
afterEach(() => vi.useRealTimers());

test('who is ready is not waited for', async () => {
  isReady = true;
  await readiness.wait(4_000);
});

test('all who wait go on as soon as it is ready', async () => {
  const waiting = [readiness.wait(4_000), readiness.wait(4_000)];
  isReady = true;
  readiness.check();
  await Promise.all(waiting);
  expect(vi.getTimerCount()).toBe(0);
});

test('who waits in vain is told what stood in the way last', async () => {
  const waiting = expect(readiness.wait(4_000)).rejects.toMatchObject({
    code: 'unavailable',
    message:
      'weft cannot do this now, try again later: the store is away (containers that run are not affected)',
  });
  readiness.report('the store is away');
  readiness.check();
  await vi.advanceTimersByTimeAsync(4_000);
  await waiting;
});

test('who became ready without a word is not refused', async () => {
  const waiting = readiness.wait(4_000);
  isReady = true;
  await vi.advanceTimersByTimeAsync(4_000);
  await waiting;
});
