import { existsSync } from 'node:fs';
import { readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killCgroup, labsCgroup, removeCgroup } from './cgroup.ts';
import { cacheFolder, labsFolder } from './folders.ts';
import { withLock } from './lock.ts';
import { isAlive, type LabRecord, labFolder, labNames, readRecord, writeRecord } from './record.ts';
import { say } from './run.ts';
import { namespacesOf, removeNamespaces } from './underlay.ts';

/** Labs are made room for and removed one at a time, whoever does it. */
const lock = join(cacheFolder, 'locks/labs');

/** Removes all that a lab of this name has made. */
export function removeLab(name: string): Promise<void> {
  return withLock(lock, () => clear(name));
}

/**
 * Removes the labs whose owner has ended without taking them down.
 * @param patienceMs for owners that have been told to end, and are about to
 */
export async function removeOrphans(patienceMs = 0): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (performance.now() < deadlineMs && (await hasOwnedLab())) await sleep(100);
  await withLock(lock, async () => {
    for (const name of await labNames()) {
      const record = await readRecord(name);
      if (record?.owner === undefined || isAlive(record.owner)) continue;
      say(`removing lab ${name}, which process ${record.owner.pid} has left behind`);
      await clear(name);
    }
  });
}

async function hasOwnedLab(): Promise<boolean> {
  const records = await Promise.all((await labNames()).map(readRecord));
  return records.some((record) => record?.owner !== undefined && isAlive(record.owner));
}

/** Puts a new lab's record in place of whatever an earlier lab of its name has left, unless that is in use. */
export function takeName(record: LabRecord): Promise<void> {
  const { name } = record.spec;
  return withLock(lock, async () => {
    const earlier = await readRecord(name);
    if (earlier?.owner && earlier.owner.pid !== process.pid && isAlive(earlier.owner)) {
      throw new Error(`lab ${name} is in use by process ${earlier.owner.pid}; choose another name`);
    }
    await clear(name);
    await writeRecord(record);
  });
}

/** What counts is what is there, not what was written down: however far the lab came and however it ended. */
async function clear(name: string): Promise<void> {
  const cgroup = join(labsCgroup(), name);
  await killCgroup(cgroup);
  await removeNamespaces(name);
  await removeCgroup(cgroup);
  await rm(labFolder(name), { recursive: true, force: true });
  const left = await remainsOf(name);
  if (left.length > 0) throw new Error(`lab ${name} could not be removed: ${left.join(', ')}`);
  // Fails while there are other labs.
  await rmdir(labsCgroup()).catch(() => undefined);
  await rmdir(labsFolder).catch(() => undefined);
}

/** What there still is of a lab, for people to read. */
export async function remainsOf(name: string): Promise<string[]> {
  const folder = labFolder(name);
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(`${folder}/`));
  const paths = [folder, join(labsCgroup(), name)].filter((path) => existsSync(path));
  return [...paths, ...(await namespacesOf(name)), ...mounts];
}
