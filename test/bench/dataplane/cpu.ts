/** CPU time that packets cost, told apart from what else the machine does. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labsCgroup } from '../../lab/cgroup.ts';

/** Threads in which the kernel handles the packets that it could not handle where they arrived. */
const packetThreads = readdirSync('/proc').filter(
  (pid) => /^\d+$/.test(pid) && nameOf(pid).startsWith('ksoftirqd/'),
);

/**
 * CPU seconds so far, of both ends together: all processes of the lab, with what the kernel did in their
 * name, and the kernel's own threads for packets. Only those may have worked for somebody else too.
 */
export function cpuSeconds(lab: string): number {
  const stat = readFileSync(join(labsCgroup(), lab, 'cpu.stat'), 'utf8');
  const processesUs = Number(/^usage_usec (\d+)$/m.exec(stat)?.[1]);
  const threadsNs = packetThreads.map((pid) =>
    Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]),
  );
  return processesUs / 1e6 + threadsNs.reduce((sum, ns) => sum + ns, 0) / 1e9;
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return '';
  }
}
