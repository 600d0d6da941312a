/** The command `weft`: asks the weft that runs on this host, and prints what it answers. */
import { request } from 'node:http';
import { explain, WeftError } from '../errors.ts';
import { nearest } from '../model/nearest.ts';
import { checkText, removalText, repairText, statusText } from './text.ts';
import type { CheckReport } from './upkeep.ts';

/** The exit codes of all commands: for scripts. */
const exitCodes = { well: 0, disagreement: 1, failure: 2 } as const;

interface Command {
  readonly name: string;
  /** What is to be named after it, if anything is. */
  readonly operand?: string;
  readonly help: string;
  readonly ask: (operand: string) => { readonly method: string; readonly path: string };
  readonly text: (answer: string) => string;
  /** By the answer. Absent: all is well. */
  readonly isWell?: (answer: string) => boolean;
}

const commands: readonly Command[] = [
  {
    name: 'status',
    help: 'how this host stands, and how it reaches the others',
    ask: () => ({ method: 'GET', path: '/status' }),
    text: (answer) => statusText(JSON.parse(answer), Date.now()),
  },
  {
    name: 'metrics',
    help: 'the same for Prometheus',
    ask: () => ({ method: 'GET', path: '/metrics' }),
    text: (answer) => answer,
  },
  {
    name: 'check',
    help: 'what does not agree between the store, Docker, weft and the kernel here; changes nothing',
    ask: () => ({ method: 'GET', path: '/check' }),
    text: (answer) => checkText(JSON.parse(answer)),
    isWell: allAgrees,
  },
  {
    name: 'repair',
    help: 'puts right of that what it can without harm to any container',
    ask: () => ({ method: 'POST', path: '/repair' }),
    text: (answer) => repairText(JSON.parse(answer)),
    isWell: allAgrees,
  },
  {
    name: 'host rm',
    operand: 'HOST',
    help: 'takes back all that is held for a host that is gone for good',
    ask: (host) => ({ method: 'DELETE', path: `/hosts/${encodeURIComponent(host)}` }),
    text: (answer) => removalText(JSON.parse(answer)),
  },
];

const usage = `weft COMMAND [--json]

${commands.map(({ name, operand = '', help }) => `  ${`${name} ${operand}`.padEnd(14)}${help}`).join('\n')}

Exit codes: 0 all is well, 1 something does not agree, 2 weft could not do it.
`;

/** Longer than any of them takes where the store and Docker answer at all. */
const timeoutMs = 120_000;

/** @returns the exit code */
export async function runCommand(
  words: readonly string[],
  socketPath: string,
  print: { readonly out: (text: string) => void; readonly error: (text: string) => void },
): Promise<number> {
  const rest = words.filter((word) => word !== '--json');
  if (rest.length === 0 || rest[0] === 'help' || rest[0] === '--help') {
    print.out(usage);
    return exitCodes.well;
  }
  try {
    const { command, operand } = parseWords(rest);
    const answer = await ask(socketPath, command.ask(operand));
    print.out(rest.length < words.length ? answer : command.text(answer));
    return command.isWell?.(answer) === false ? exitCodes.disagreement : exitCodes.well;
  } catch (error) {
    print.error(`weft: ${explain(error)}\n`);
    return exitCodes.failure;
  }
}

/** @throws WeftError `invalid` */
function parseWords(words: readonly string[]): { readonly command: Command; readonly operand: string } {
  for (const command of commands) {
    const names = command.name.split(' ');
    const [operand = '', ...more] = words.slice(names.length);
    const isNamed = words.slice(0, names.length).join(' ') === command.name;
    if (isNamed && more.length === 0 && (operand !== '') === (command.operand !== undefined)) {
      return { command, operand };
    }
  }
  const asked = words.join(' ');
  const suggestion = nearest(
    asked,
    commands.map(({ name }) => name),
  );
  const hint =
    suggestion === undefined || suggestion === asked ? 'see weft --help' : `did you mean ${suggestion}?`;
  throw new WeftError('invalid', `there is no command "${asked}": ${hint}`);
}

function allAgrees(answer: string): boolean {
  const report: CheckReport = JSON.parse(answer);
  return report.disagreements.length === 0;
}

/** @throws WeftError with what weft says, or `unavailable` when none answers */
async function ask(
  socketPath: string,
  { method, path }: { readonly method: string; readonly path: string },
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const signal = AbortSignal.timeout(timeoutMs);
  const call = request({ socketPath, method, path, signal, agent: false }, async (response) => {
    try {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode ?? 500, text });
    } catch (error) {
      reject(error);
    }
  });
  call.on('error', reject);
  call.end();
  try {
    const { status, text } = await promise;
    if (status === 200) return text;
    throw new WeftError('conflict', JSON.parse(text).error);
  } catch (cause) {
    if (cause instanceof WeftError) throw cause;
    throw new WeftError('unavailable', `no weft answers at ${socketPath}: is it running on this host?`, {
      cause,
    });
  }
}
