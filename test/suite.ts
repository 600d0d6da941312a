import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { projectFolder, projectProgram } from './lab/folders.ts';
import { runAttached } from './lab/run.ts';

/** How a suite, or a check, ended. */
export interface Outcome {
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly Failure[];
  /** What failed, and passed when its file ran again. */
  readonly unsteady: readonly Failure[];
}

export interface Failure {
  readonly test: string;
  /** One line. */
  readonly reason: string;
}

/** The part of vitest's JSON report that counts here. */
interface Report {
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  /** The file's path. */
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[] | null;
  }[];
}

const memory = '/dev/shm';

/**
 * Runs the tests of a vitest project; `files` (parts of their names): those alone, none: all.
 *
 * Files that fail run once more: daemons on a busy machine fail for reasons that are not weft's, and one of thousands
 * of tests must not hide what all others say. What passes at last is named all the same.
 */
export async function runSuite(
  name: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<Outcome> {
  const first = await runFiles(name, files, signal);
  const failed = first.results.filter(({ status }) => status === 'failed');
  if (signal.aborted || failed.length === 0) return outcomeOf(first.results, first.exitCode);

  const names = failed.map((file) => relative(projectFolder, file.name));
  console.log(`\nonce more, for what failed: ${names.join(' ')}`);
  const again = await runFiles(name, names, signal);
  const repeated = new Set(again.results.map((file) => file.name));
  const results = [...first.results.filter((file) => !repeated.has(file.name)), ...again.results];
  const outcome = outcomeOf(results, again.exitCode);
  const stillFailing = new Set(outcome.failures.map(({ test }) => test));
  return { ...outcome, unsteady: failed.flatMap(failuresOf).filter(({ test }) => !stillFailing.has(test)) };
}

async function runFiles(name: string, files: readonly string[], signal: AbortSignal) {
  // In memory for tests that have a clock of their own: with a busy disk, time would run away from weft.
  const base = name === 'unit' && existsSync(memory) ? memory : tmpdir();
  const folder = await mkdtemp(join(base, 'weft-test-'));
  try {
    const file = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const vitest = [
      // What a test that is interrupted leaves in there goes with it.
      ...['env', `TMPDIR=${folder}`],
      projectProgram('vitest'),
      'run',
      '--config=test/vitest.config.ts',
      `--project=${name}`,
      ...files,
    ];
    const exitCode = await runAttached([...vitest, ...reporters], signal);
    const report: Report = JSON.parse(await readFile(file, 'utf8').catch(() => '{"testResults":[]}'));
    return { exitCode, results: report.testResults };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function outcomeOf(results: readonly FileResult[], exitCode: number): Outcome {
  const having = (status: string) =>
    results.flatMap((file) => file.assertionResults).filter((result) => result.status === status).length;
  const [passed, failed] = [having('passed'), having('failed')];
  const all = results.reduce((sum, file) => sum + file.assertionResults.length, 0);
  const failures = results.flatMap(failuresOf);
  // An error outside of any test, or the end of vitest itself.
  if (exitCode !== 0 && failures.length === 0)
    failures.push({ test: 'vitest', reason: `ended with exit code ${exitCode}` });
  return { passed, skipped: all - passed - failed, failures, unsteady: [] };
}

function failuresOf(file: FileResult): Failure[] {
  const path = relative(projectFolder, file.name);
  const failed = file.assertionResults.filter(({ status }) => status === 'failed');
  // A file can fail as a whole: at its import, or in a hook.
  if (failed.length === 0 && file.status === 'failed')
    return [{ test: path, reason: firstLine(file.message) }];
  return failed.map(({ fullName, failureMessages }) => ({
    test: `${path} > ${fullName}`,
    reason: firstLine(failureMessages?.[0] ?? ''),
  }));
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? '';
