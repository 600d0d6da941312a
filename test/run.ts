/**
 * `npm test`: lint, types, then the suites one after the other. `npm test -- SUITE...` runs those alone.
 * The last line counts all of it; a failed check counts as one.
 */
import { existsSync, globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectFolder } from './lab/folders.ts';
import { removeOrphans } from './lab/removal.ts';
import { runAttached } from './lab/run.ts';

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is counted here. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

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

const memory = '/dev/shm';
const program = (name: string) => join(projectFolder, 'node_modules/.bin', name);

const add = (a: Count, b: Count): Count => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

async function check(argv: readonly string[], signal: AbortSignal): Promise<Count> {
  const isRight = (await runAttached(argv, signal)) === 0;
  return { passed: isRight ? 1 : 0, failed: isRight ? 0 : 1, skipped: 0 };
}

async function suite(name: string, files: readonly string[], signal: AbortSignal): Promise<Count> {
  // In memory for tests that have a clock of their own: with a busy disk, time would run away from weft.
  const base = name === 'unit' && existsSync(memory) ? memory : tmpdir();
  const folder = await mkdtemp(join(base, 'weft-test-'));
  try {
    const file = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const vitest = [
      // What a test that is interrupted leaves in there goes with it.
      ...['env', `TMPDIR=${folder}`],
      program('vitest'),
      'run',
      '--config=test/vitest.config.ts',
      `--project=${name}`,
      ...files,
    ];
    const exitCode = await runAttached([...vitest, ...reporters], signal);
    const count = countOf(JSON.parse(await readFile(file, 'utf8').catch(() => '{"testResults":[]}')));
    // An error outside of any test, or the end of vitest itself.
    return exitCode !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function countOf(report: Report): Count {
  return report.testResults
    .map(({ status, assertionResults }) => {
      const having = (...statuses: string[]) =>
        assertionResults.filter((result) => statuses.includes(result.status)).length;
      const [passed, failed] = [having('passed'), having('failed')];
      // A file can fail as a whole: at its import, or in a hook.
      const failedFile = status === 'failed' && failed === 0 ? 1 : 0;
      return { passed, failed: failed + failedFile, skipped: assertionResults.length - passed - failed };
    })
    .reduce(add, { passed: 0, failed: 0, skipped: 0 });
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

const steps = [
  ...(asked.length > 0
    ? []
    : [
        { title: 'lint', count: () => check([program('biome'), 'check', '.'], interrupt.signal) },
        { title: 'types', count: () => check([program('tsc'), '--noEmit'], interrupt.signal) },
      ]),
  ...Object.entries(suites)
    .filter(
      ([name]) =>
        (asked.length === 0 || asked.includes(name)) && globSync(`test/${name}/**/*.test.ts`).length > 0,
    )
    .map(([name, files]) => ({
      title: `suite ${name}`,
      count: () => suite(name, asked.length === 0 ? files : [], interrupt.signal),
    })),
];

let total: Count = { passed: 0, failed: 0, skipped: 0 };
for (const [index, step] of steps.entries()) {
  if (interrupt.signal.aborted) break;
  console.log(`\n[${index + 1}/${steps.length}] ${step.title}`);
  total = add(total, await step.count());
}
// Workers of vitest end a moment after it.
if (process.getuid?.() === 0) await removeOrphans(interrupt.signal.aborted ? 10_000 : 0);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = interrupt.signal.aborted || total.failed > 0 || total.passed === 0 ? 1 : 0;
