import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { explain, WeftError } from '../errors.ts';

/**
 * The name by which the cluster knows this host, made once and kept in the state folder: addresses belong to
 * it, so it must outlive restarts, upgrades and changes of the host's name and address.
 * @throws WeftError `internal` when it is damaged: another would leave the host's own containers to nobody; or
 *   when it cannot be kept
 */
export function hostIdIn(stateDir: string): string {
  const path = join(stateDir, 'host-id');
  const known = readExisting(path);
  if (known !== undefined) return known;
  const id = randomBytes(6).toString('hex');
  try {
    mkdirSync(stateDir, { recursive: true });
    // A file cut off by a crash must never pass for an id.
    writeFileSync(`${path}.new`, `${id}\n`, { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new WeftError(
      'internal',
      `weft cannot keep the id of this host in ${path} (${explain(cause)}); make sure that its disk has room and may be written to`,
      { cause },
    );
  }
  return id;
}

function readExisting(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const [id] = /^[0-9a-f]{12}$/.exec(text.trim()) ?? [];
  if (id !== undefined) return id;
  throw new WeftError(
    'internal',
    `the file ${path} is damaged, so weft does not know which host of the cluster this is: write the id there that the store has for this host below hosts/, or delete the file if no container here is on a weft network`,
  );
}
