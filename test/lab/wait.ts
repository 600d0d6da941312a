import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until the condition holds; an error it throws counts as "not yet" and is told when time runs out. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      if (await condition()) return;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`, { cause });
    }
    await sleep(pauseMs);
  }
}
