/**
 * `npm test`: lint, types, then the suites one after the other. `npm test -- SUITE...` runs those alone.
 * The last line counts all of it; a failed check counts as one.
 */
import { globSync } from 'node:fs';
import { projectFolder, projectProgram } from './lab/folders.ts';
import { removeOrphans } from './lab/removal.ts';
import { runAttached } from './lab/run.ts';
import { type Failure, type Outcome, runSuite } from './suite.ts';

/** Each with the files of it that `npm test` runs; none named: all. */
const suites: Readonly<Record<string, readonly string[]>> = {
  unit: [],
  contract: [],
  kernel: [],
  cluster: [],
  // What Docker's own drivers do changes with Docker alone.
  behaviours: ['weft.test'],
  fault: [],
};

async function check(title: string, argv: readonly string[], signal: AbortSignal): Promise<Outcome> {
  const exitCode = await runAttached(argv, signal);
  const failures = exitCode === 0 ? [] : [{ test: title, reason: `exit code ${exitCode}, see above` }];
  return { passed: exitCode === 0 ? 1 : 0, skipped: 0, failures, unsteady: [] };
}

function print(title: string, failures: readonly Failure[]) {
  if (failures.length > 0) console.log(`\n${title}:`);
  for (const { test, reason } of failures) console.log(`  ${test}: ${reason}`);
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`);
  process.exit(1);
}

const interrupt = new AbortController();
// Not `once`: a Ctrl-C reaches this process from the terminal and again from npm.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => interrupt.abort());
process.chdir(projectFolder);

const checks: Readonly<Record<string, readonly string[]>> = {
  lint: [projectProgram('biome'), 'check', '.'],
  types: [projectProgram('tsc'), '--noEmit'],
};
const steps = [
  ...Object.entries(asked.length > 0 ? {} : checks).map(([title, argv]) => ({
    title,
    run: () => check(title, argv, interrupt.signal),
  })),
  ...Object.entries(suites)
    .filter(
      ([name]) =>
        (asked.length === 0 || asked.includes(name)) && globSync(`test/${name}/**/*.test.ts`).length > 0,
    )
    .map(([name, files]) => ({
      title: `suite ${name}`,
      run: () => runSuite(name, asked.length === 0 ? files : [], interrupt.signal),
    })),
];

const outcomes: Outcome[] = [];
for (const [index, step] of steps.entries()) {
  if (interrupt.signal.aborted) break;
  console.log(`\n[${index + 1}/${steps.length}] ${step.title}`);
  outcomes.push(await step.run());
}
// Workers of vitest end a moment after it.
if (process.getuid?.() === 0) await removeOrphans(interrupt.signal.aborted ? 10_000 : 0);

const failures = outcomes.flatMap((outcome) => outcome.failures);
const sum = (count: (outcome: Outcome) => number) =>
  outcomes.reduce((total, outcome) => total + count(outcome), 0);
const passed = sum((outcome) => outcome.passed);
print(
  'Passed at the second attempt alone',
  outcomes.flatMap((outcome) => outcome.unsteady),
);
print('Failed', failures);
console.log(`\n${passed} passed, ${failures.length} failed, ${sum((outcome) => outcome.skipped)} skipped`);
process.exitCode = interrupt.signal.aborted || failures.length > 0 || passed === 0 ? 1 : 0;
