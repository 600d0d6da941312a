import { expect, it } from 'vitest';
import { keyedQueue } from '../../../src/model/queue.ts';

it('runs the tasks of one key one after the other, in order', async () => {
  const queue = keyedQueue();
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue('a', async () => {
    events.push('first begins');
    await gate.promise;
    events.push('first ends');
  });
  const second = queue('a', async () => {
    events.push('second');
  });
  gate.resolve();
  await Promise.all([first, second]);
  expect(events).toEqual(['first begins', 'first ends', 'second']);
});

it('does not let one key wait for another', async () => {
  const queue = keyedQueue();
  const gate = Promise.withResolvers<void>();
  const held = queue('a', () => gate.promise);
  await expect(queue('b', async () => 'done')).resolves.toBe('done');
  gate.resolve();
  await held;
});

it('hands a failure to its own caller and goes on with the next task', async () => {
  const queue = keyedQueue();
  const failing = queue('a', () => Promise.reject(new Error('no')));
  const next = queue('a', async () => 42);
  await expect(failing).rejects.toThrow('no');
  await expect(next).resolves.toBe(42);
});
