/** How far the store had come when this host last looked, over restarts: one that is behind that has lost data since. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SeenRevision {
  /** Before weft started; after a power cut perhaps an earlier one. */
  readonly before: bigint;
  /** @throws when the disk does not take it */
  note(revision: bigint): void;
}

export function seenRevision(stateDir: string): SeenRevision {
  const path = join(stateDir, 'store-revision');
  const before = readNoted(path);
  let noted = before;
  return {
    before,
    note(revision) {
      if (revision === noted) return;
      writeFileSync(`${path}.new`, `${revision}\n`, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      noted = revision;
    },
  };
}

/** Zero where there is none, or none that can be read: then nothing is known to be lost. */
function readNoted(path: string): bigint {
  try {
    return BigInt(readFileSync(path, 'utf8').trim());
  } catch {
    return 0n;
  }
}
