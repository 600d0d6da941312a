import { ExecaError, execa } from 'execa';

export interface RunOptions {
  /** Default: 60 s. */
  readonly timeoutMs?: number;
  readonly input?: string;
  /** A file that becomes standard input. */
  readonly inputFile?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** What an error calls the command, when its argv says too much. */
  readonly title?: string;
}

export class CommandError extends Error {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(title: string, failed: ExecaError) {
    const stderr = String(failed.stderr ?? '').trim();
    // 124 is how coreutils' timeout, which ends commands inside a host, says it.
    const reason = failed.timedOut || failed.exitCode === 124 ? 'did not end in time' : failed.shortMessage;
    const end =
      failed.exitCode === undefined || failed.exitCode === 124 ? reason : `exit code ${failed.exitCode}`;
    super(`${title}: ${end}${stderr && `: ${stderr}`}`, { cause: failed.cause });
    this.name = 'CommandError';
    this.exitCode = failed.exitCode;
    this.stdout = String(failed.stdout ?? '');
    this.stderr = stderr;
  }
}

/**
 * Runs a program to its end and answers what it wrote to standard output, without the last newline.
 * @throws CommandError when it does not end well or in time
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [file = '', ...rest] = argv;
  const { inputFile, input = '', timeoutMs = 60_000, env = {}, signal } = options;
  try {
    const { stdout } = await execa(file, rest, {
      timeout: timeoutMs,
      env,
      ...(signal && { cancelSignal: signal }),
      ...(inputFile === undefined ? { input } : { inputFile }),
    });
    return stdout;
  } catch (error) {
    if (error instanceof ExecaError) throw new CommandError(options.title ?? argv.join(' '), error);
    throw error;
  }
}

/** Runs a program on the caller's terminal and answers its exit code; an abort terminates it. */
export async function runAttached(argv: readonly string[], signal?: AbortSignal): Promise<number> {
  const [file = '', ...rest] = argv;
  const { exitCode } = await execa(file, rest, {
    stdio: 'inherit',
    reject: false,
    ...(signal && { cancelSignal: signal }),
  });
  return exitCode ?? 1;
}

/** Tells the user what takes time; standard output stays free for results. */
export function say(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}
