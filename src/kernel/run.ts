/** Running the programs that weft has no better way to ask. Never on the path of a container's start. */
import { WeftError } from '../errors.ts';

const timeoutMs = 10_000;

export interface RunOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** File of the network namespace to run in, if not the current one. */
  readonly namespace?: string | undefined;
}

/**
 * Answers what the program wrote to its standard output.
 * @throws WeftError `kernel` with the command and what it wrote to its standard error
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  // Loading execa costs more than most things weft does at start.
  const { execa } = await import('execa');
  const enter = options.namespace === undefined ? [] : ['nsenter', `--net=${options.namespace}`];
  const [file = '', ...args] = [...enter, ...command];
  const result = await execa(file, args, {
    reject: false,
    timeout: timeoutMs,
    input: options.input ?? '',
    env: { LC_ALL: 'C', ...options.environment },
    maxBuffer: 512 * 1024 * 1024,
  });
  if (!result.failed) return result.stdout;
  const why = result.code === 'ENOENT' ? 'it is not installed' : result.stderr || result.shortMessage || '';
  throw new WeftError('kernel', `could not run \`${command.join(' ')}\`: ${why.trim()}`, { cause: result });
}
