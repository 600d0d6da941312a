/** JSON files that outlive weft. Each is replaced by rename: a crash leaves what was there, or what is there now. */
import { readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';

/** Undefined where there is none, or none that can be read. */
export function readKept(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * One at a time of each file.
 * @param content in as many pieces as it takes not to be in memory at once
 * @param durable whether it is to outlive a loss of power; `syncFolder` belongs to that
 */
export async function keepFile(
  path: string,
  content: string | Iterable<string>,
  { durable }: { readonly durable: boolean },
): Promise<void> {
  const draft = `${path}.new`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(content);
      if (durable) await file.datasync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** A file that was renamed or removed may be as before after a loss of power, as long as its folder is not synced. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
