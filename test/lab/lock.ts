import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Does the work while no other process on this machine holds the same lock. `flock` holds it for as long as
 * its standard input stays open, so it is given up even when this process is killed.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Out of the terminal's process group: an interrupt must not take the lock away before the clean-up.
    detached: true,
  });
  const ended = once(holder, 'close');
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      ended.then(([code]) => Promise.reject(new Error(`flock ${file} ended with code ${code}`))),
    ]);
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
