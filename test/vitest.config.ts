import { defineConfig } from 'vitest/config';

/** The suites are projects, which run one after the other. Default of `filesAtOnce`: as there are processors. */
const suites = [
  { name: 'unit', timeoutMs: 20_000 },
  // Of these, all files share the machine's loopback, or its kernel.
  { name: 'contract', timeoutMs: 60_000, filesAtOnce: 1 },
  { name: 'kernel', timeoutMs: 60_000, filesAtOnce: 1 },
  // Of these, each file has a lab of its own, and waits more than it computes.
  { name: 'cluster', timeoutMs: 300_000, filesAtOnce: 2 },
  // Each file keeps three hosts busy at once.
  { name: 'behaviours', timeoutMs: 300_000, filesAtOnce: 1 },
  { name: 'fault', timeoutMs: 300_000, filesAtOnce: 2 },
];

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    projects: suites.map(({ name, timeoutMs, filesAtOnce }, index) => ({
      test: {
        name,
        root: '.',
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        sequence: { groupOrder: index },
        ...(filesAtOnce !== undefined && { maxWorkers: filesAtOnce }),
      },
    })),
  },
});
