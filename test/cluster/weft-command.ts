/** The command `weft` on a host with the managed plugin, by the alias that the README gives. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../lab/folders.ts';
import type { Host } from '../lab/host.ts';

const [alias] = /^alias weft=.*$/m.exec(readFileSync(join(projectFolder, 'README.md'), 'utf8')) ?? [];

/** @param words as they are typed after `weft` */
export async function weft(
  host: Host,
  words: string,
): Promise<{ readonly code: number; readonly text: string }> {
  const script = `shopt -s expand_aliases\n${alias}\nweft ${words} 2>&1\necho "exit $?"`;
  const output = await host.exec(['bash', '-c', script]);
  const [, text = '', code] = /^(.*)exit (\d+)\s*$/s.exec(output) ?? [];
  return { code: Number(code), text: text.trim() };
}
