/**
 * How far the store had come when this host last looked, over restarts: one that is behind that has lost data since, and
 * so has one of another epoch.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Seen {
  readonly revision: bigint;
  /** Absent: not known yet. */
  readonly epoch: string | undefined;
}

export interface SeenRevision {
  /** Before weft started; after a power cut perhaps an earlier one. */
  readonly before: Seen;
  /** @throws when the disk does not take it */
  note(seen: Seen): void;
}

export function seenRevision(stateDir: string): SeenRevision {
  const path = join(stateDir, 'store-revision');
  const before = readNoted(path);
  let noted = before;
  return {
    before,
    note({ revision, epoch = noted.epoch }) {
      if (revision === noted.revision && epoch === noted.epoch) return;
      writeFileSync(`${path}.new`, `${[revision, epoch].join(' ').trim()}\n`, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      noted = { revision, epoch };
    },
  };
}

/** Zero where there is none, or none that can be read: then nothing is known to be lost. */
function readNoted(path: string): Seen {
  try {
    const [revision = '', epoch] = readFileSync(path, 'utf8').trim().split(' ');
    return { revision: BigInt(revision), epoch };
  } catch {
    return { revision: 0n, epoch: undefined };
  }
}
