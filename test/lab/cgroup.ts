import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from './wait.ts';

/**
 * Everything a lab starts sits in its cgroups (version 2, with or without controllers), so that nothing
 * that it started can be missed when it is killed, frozen or looked for.
 */
export const labsCgroup = (): string => join(cgroupMount(), 'weft-lab');

function cgroupMount(): string {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
    ?.split(' ')[4];
  if (mount === undefined)
    throw new Error('the lab needs a cgroup2 mount: mount -t cgroup2 none /sys/fs/cgroup');
  return mount;
}

/** Makes a cgroup, and hands down to it the controllers that its parents have to give. */
export async function makeCgroup(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const parents: string[] = [];
  for (let parent = join(path, '..'); parent.startsWith(cgroupMount()); parent = join(parent, '..')) {
    parents.unshift(parent);
  }
  for (const parent of parents) {
    const controllers = (await readFile(join(parent, 'cgroup.controllers'), 'utf8'))
      .split(/\s+/)
      .filter(Boolean);
    for (const controller of controllers) {
      // One that cannot be handed down only costs Docker a limit that no test sets.
      await writeFile(join(parent, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
    }
  }
}

const populated = (path: string): boolean =>
  existsSync(path) && readFileSync(join(path, 'cgroup.events'), 'utf8').includes('populated 1');

/** Kills all that is in it, at once and frozen or not, and waits until it is gone. */
export async function killCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  await writeFile(join(path, 'cgroup.kill'), '1');
  await waitFor(`end of the processes in ${path}`, () => !populated(path));
}

export async function freezeCgroup(path: string, frozen: boolean): Promise<void> {
  await writeFile(join(path, 'cgroup.freeze'), frozen ? '1' : '0');
  await waitFor(`${frozen ? 'freeze' : 'thaw'} of ${path}`, () =>
    readFileSync(join(path, 'cgroup.events'), 'utf8').includes(`frozen ${frozen ? 1 : 0}`),
  );
}

/** Removes a cgroup that has been killed, with those below it. */
export async function removeCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (const child of readdirSync(path, { withFileTypes: true })) {
    if (child.isDirectory()) await removeCgroup(join(path, child.name));
  }
  await rmdir(path);
}
