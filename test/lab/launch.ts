import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';

const script = 'exec 2>>"$1" && echo 0 >"$2/cgroup.procs" && shift 2 && exec "$@"';

/**
 * Starts a program, in a cgroup, that lives on after this process. Answers the first line it prints, by
 * which it says that it is up; its errors go to the log, whose end is told when it stops before that.
 */
export async function launch(cgroup: string, argv: readonly string[], log: string): Promise<string> {
  const child = spawn('sh', ['-c', script, 'sh', log, cgroup, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  let line = '';
  child.stdout.on('data', (chunk) => {
    line += String(chunk);
    if (line.includes('\n')) child.stdout.destroy();
  });
  await once(child.stdout, 'close');
  child.unref();
  if (line.includes('\n')) return line.trim();
  throw new Error(`${argv.join(' ')} stopped at its start; ${await endOf(log)}`);
}

/** The last lines of a log, for an error's text. */
export async function endOf(log: string, count = 10): Promise<string> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
  return `${log} ends with:\n${lines.slice(-count).join('\n')}`;
}
