import { homedir } from 'node:os';
import { join } from 'node:path';

const setting = (name: string): string | undefined => process.env[name] || undefined;

/** What is made once and kept: Node, root file systems, images. The same rule stands in prepare.sh. */
export const cacheFolder =
  setting('WEFT_CACHE') ?? join(setting('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'weft');

/** What lives as long as a lab. Hosts keep overlay layers here, so it must itself be no overlay. */
export const labsFolder = setting('WEFT_LABS') ?? '/var/tmp/weft-lab';

export const projectFolder = join(import.meta.dirname, '../..');

/** The path of a program that comes with a package, such as `vitest`. */
export const projectProgram = (name: string): string => join(projectFolder, 'node_modules/.bin', name);
