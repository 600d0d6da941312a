import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labsFolder } from './folders.ts';
import type { LabSpec } from './lab.ts';

/** What a lab leaves on disk before anything else, so that any other process can use or remove it. */
export interface LabRecord {
  readonly spec: LabSpec;
  /** The process whose end is the lab's end too; absent: it stays until it is taken down. */
  readonly owner?: Owner;
}

export interface Owner {
  readonly pid: number;
  /** In clock ticks since boot; tells a process from a later one of the same pid. */
  readonly startedAt: string;
}

export const labFolder = (name: string): string => join(labsFolder, name);

export async function writeRecord(record: LabRecord): Promise<void> {
  const folder = labFolder(record.spec.name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'lab.json'), JSON.stringify(record, undefined, 2));
}

export async function readRecord(name: string): Promise<LabRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(labFolder(name), 'lab.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

/** All labs that have a folder, up or left behind. */
export async function labNames(): Promise<string[]> {
  return readdir(labsFolder).catch(() => []);
}

function startOf(pid: number): string | undefined {
  try {
    // The name in the second field may hold blanks, so fields count from its closing bracket.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}

export const thisProcess = (): Owner => ({ pid: process.pid, startedAt: startOf(process.pid) ?? '' });

export const isAlive = (owner: Owner): boolean => startOf(owner.pid) === owner.startedAt;
