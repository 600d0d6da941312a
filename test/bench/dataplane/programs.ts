/**
 * The programs that measure, in a root of their own: no host and no image has to have them, and they are the
 * same for all that is compared. They enter only the network of what they measure, and so have all
 * capabilities there: containers lack NET_ADMIN, without which TCP's congestion control cannot be chosen.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { labsCgroup } from '../../lab/cgroup.ts';
import { cached, debian } from '../../lab/rootfs.ts';
import { run } from '../../lab/run.ts';

const packages = ['ethtool', 'iperf3', 'sockperf'];

/** Runs a program in the network namespace of that file and answers its output. @throws CommandError */
export type RunIn = (netns: string, argv: readonly string[], timeoutMs?: number) => Promise<string>;

/** What is run belongs to the lab: it ends with it, and its CPU time counts as the lab's. */
export async function programsIn(lab: string): Promise<RunIn> {
  const root = await cached(
    'rootfs/bench',
    { packages },
    'making a Debian with the programs that measure (once; half a minute)',
    (path) => debian('trixie', 'minbase', packages, path),
  );
  const cgroup = join(labsCgroup(), lab, 'programs');
  await mkdir(cgroup);
  const entering = ['sh', '-c', 'echo 0 >"$0" && exec nsenter "$@"', join(cgroup, 'cgroup.procs')];
  return (netns, argv, timeoutMs = 30_000) =>
    run([...entering, `--net=${netns}`, `--root=${root}`, '--wd=/', '--', ...argv], {
      title: argv.join(' '),
      timeoutMs,
    });
}
