import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { coalesce } from '../../../src/agent/coalesce.ts';
import { Reconciler } from '../../../src/agent/reconciler.ts';

const log = pino({ level: 'silent' });

describe('coalesced runs', () => {
  test('share the one run that starts after the one under way', async () => {
    const gates: (() => void)[] = [];
    const run = coalesce(() => new Promise((resolve) => gates.push(resolve)));
    const first = run();
    const later = [run(), run(), run()];
    expect(gates).toHaveLength(1);
    gates[0]?.();
    await first;
    await vi.waitUntil(() => gates.length === 2);
    gates[1]?.();
    await Promise.all(later);
    expect(gates).toHaveLength(2);
  });

  test('start after a failed one too', async () => {
    let count = 0;
    const run = coalesce(async () => {
      count += 1;
      if (count === 1) throw new Error('first');
    });
    const [first, second] = [run(), run()];
    await expect(first).rejects.toThrow('first');
    await second;
    expect(count).toBe(2);
  });
});

describe('the reconciler', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  function reconciler(pass: (scope: string) => Promise<number>) {
    return new Reconciler({ pass, scopes: async () => ['host', 'weft-1'], fullPassMs: 30_000, log });
  }

  test('writes nothing before it is opened, and looks at everything then', async () => {
    const pass = vi.fn(async () => 0);
    const subject = reconciler(pass);
    subject.mark('host');
    await subject.settle('host');
    expect(pass).not.toHaveBeenCalled();
    subject.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(pass.mock.calls.flat()).toEqual(['host', 'weft-1']);
    subject.close();
  });

  test('counts as drift what it changes for no reason of its own, not what it was told of', async () => {
    let broken = 0;
    const subject = reconciler(async () => broken);
    subject.open();
    await vi.advanceTimersByTimeAsync(0);
    broken = 2;
    await subject.settle('host');
    expect(subject.driftRepaired).toBe(0);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(subject.driftRepaired).toBe(4);
    subject.suspect('host');
    await vi.advanceTimersByTimeAsync(0);
    expect(subject.driftRepaired).toBe(6);
    subject.close();
  });

  test('repeats a pass that failed, and tells the caller who waits for it', async () => {
    let failures = 2;
    const pass = vi.fn(async () => {
      if (failures-- > 0) throw new Error('no');
      return 0;
    });
    const subject = new Reconciler({ pass, scopes: async () => [], fullPassMs: 30_000, log });
    subject.open();
    await expect(subject.settle('host')).rejects.toThrow('no');
    subject.mark('host');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(pass).toHaveBeenCalledTimes(3);
    subject.close();
  });
});
