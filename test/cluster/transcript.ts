/** What documents tell users to type, on which host: the lines of their code blocks that begin with `h1# `. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../lab/folders.ts';
import type { Lab } from '../lab/lab.ts';

export interface Line {
  readonly host: string;
  readonly command: string;
}

/** Parts of a document by heading, of the second level or below, each as far as the next one. */
type Sections = ReadonlyMap<string, string>;

export const readme = sectionsOf('README.md');
export const elsewhere = sectionsOf('plugin/coming-from-elsewhere.md');

function sectionsOf(file: string): Sections {
  const parts = readFileSync(join(projectFolder, file), 'utf8').split(/^##+ /m).slice(1);
  return new Map(
    parts.map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end), part.slice(end)] as const;
    }),
  );
}

/** Headings below which something is to be typed. */
export function headings(document: Sections): string[] {
  return [...document.keys()].filter((heading) => transcript(document, heading).length > 0);
}

export function transcript(document: Sections, heading: string): Line[] {
  const lines = document.get(heading)?.matchAll(/^ *(h\d)# (.+)$/gm) ?? [];
  return Array.from(lines, ([, host = '', command = '']) => ({ host, command }));
}

/** Types the line in that folder of the host, and answers what is printed. @throws CommandError */
export function enter(lab: Lab, { host, command }: Line, folder = '/root'): Promise<string> {
  return lab.host(host).exec(['sh', '-c', `cd ${folder} && ${command}`]);
}
