import { defineConfig } from 'vitest/config';

/** One project a suite. Only `unit` runs files in parallel: the others share the machine's kernel. */
const suite = (name: string, timeoutMs: number, parallel = false) => ({
  test: {
    name,
    root: '.',
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism: parallel,
  },
});

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    projects: [
      suite('unit', 20_000, true),
      suite('contract', 60_000),
      suite('kernel', 60_000),
      suite('cluster', 300_000),
      suite('fault', 300_000),
    ],
  },
});
