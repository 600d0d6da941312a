/** Docker's sandboxes: the namespaces of containers, which it keeps in being by mounting each on a file. */
import { isPinned } from './pin.ts';

/**
 * @param runDir the host's `/run`, as this process sees it
 * @param sandbox as Docker names it: `/var/run/docker/netns/<id>`
 */
export function sandboxFile(runDir: string, sandbox: string): string {
  return sandbox.replace(/^(\/var)?\/run(?=\/)/, runDir);
}

/** Whether a namespace is mounted there, as it is from soon after the first Join until Docker is done with it. */
export function isSandboxKept(runDir: string, sandbox: string): boolean {
  try {
    return isPinned(sandboxFile(runDir, sandbox));
  } catch {
    // Docker removes the file at this very moment.
    return false;
  }
}
