import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The name by which the cluster knows this host, made once and kept in the state folder: addresses belong to
 * it, so it must outlive restarts, upgrades and changes of the host's name and address.
 */
export function hostIdIn(stateDir: string): string {
  const path = join(stateDir, 'host-id');
  const known = readExisting(path);
  if (known !== undefined) return known;
  const id = randomBytes(6).toString('hex');
  mkdirSync(stateDir, { recursive: true });
  // A file cut off by a crash must never pass for an id.
  writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  return id;
}

function readExisting(path: string): string | undefined {
  try {
    return /^[0-9a-f]{12}$/.exec(readFileSync(path, 'utf8').trim())?.[0];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
