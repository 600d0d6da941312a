import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './folders.ts';
import { withLock } from './lock.ts';
import { run, say } from './run.ts';

/** Each Debian release brings one Docker; together they span what weft supports. */
const releases = {
  // docker-compose: Compose 1 here, Compose 2 in the next one.
  '20.10': { suite: 'bookworm', packages: ['docker-compose'] },
  '26.1': {
    suite: 'trixie',
    // The lab's etcd, and the programs of the tools image, come from this one.
    packages: ['docker-cli', 'docker-compose', 'etcd-server', 'etcd-client', 'busybox-static', 'iperf3'],
  },
  // buildx: this one also builds images.
  '28.5': { suite: 'forky', packages: ['docker-cli', 'docker-buildx'] },
} as const;

export type DockerVersion = keyof typeof releases;

/** From the oldest to the newest. */
export const dockerVersions: readonly DockerVersion[] = ['20.10', '26.1', '28.5'];

export function isAtLeast(docker: DockerVersion, oldest: DockerVersion): boolean {
  return dockerVersions.indexOf(docker) >= dockerVersions.indexOf(oldest);
}

/** The release that carries etcd and the tools. */
export const toolbox: DockerVersion = '26.1';

const hostPackages = [
  'docker.io',
  'containerd',
  'runc',
  'iptables',
  'nftables',
  'iproute2',
  'iputils-ping',
  'procps',
  'mount',
  'kmod',
  'curl',
  'tini',
];

/** Unread weight. */
const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

/** Arguments of mmdebstrap that do not depend on what is made. */
const mmdebstrap = [
  'mmdebstrap',
  '--mode=root',
  '--quiet',
  // A testing suite's Release file may have run out between two mirror pushes.
  '--aptopt=Acquire::Check-Valid-Until "false"',
  ...excluded.map((path) => `--dpkgopt=path-exclude=${path}`),
];

/** Makes a Debian root, a folder or (by its name) a tar file; minutes, network. */
export async function debian(
  suite: string,
  variant: 'apt' | 'minbase',
  packages: readonly string[],
  target: string,
): Promise<void> {
  const include = packages.length > 0 ? [`--include=${packages.join(',')}`] : [];
  await run([...mmdebstrap, `--variant=${variant}`, ...include, suite, target], { timeoutMs: 1_800_000 });
}

/**
 * Something in the cache that is made once: `make` fills a path that becomes the final one only when it is
 * complete. Whoever else needs it meanwhile waits. Another key (all that goes into it) is another thing.
 */
export async function cached(
  name: string,
  key: unknown,
  announcement: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = cachePath(name, key);
  if (existsSync(path)) return path;
  return withLock(join(cacheFolder, 'locks', name.replaceAll('/', '-')), async () => {
    if (existsSync(path)) return path;
    say(announcement);
    const partial = `${path}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(join(path, '..'), { recursive: true });
    await make(partial);
    await rename(partial, path);
    return path;
  });
}

function cachePath(name: string, key: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 10);
  return join(cacheFolder, `${name}-${hash}`);
}

function recipeOf(docker: DockerVersion) {
  const { suite, packages: own } = releases[docker];
  const packages = [...hostPackages, ...own];
  return { suite, packages, name: `rootfs/${suite}`, key: { packages, mmdebstrap } };
}

/** The read-only root of hosts with this Docker. */
export function rootfs(docker: DockerVersion): Promise<string> {
  const { suite, packages, name, key } = recipeOf(docker);
  const announcement = `making Debian ${suite} with Docker ${docker} (once; one to three minutes)`;
  return cached(name, key, announcement, (path) => debian(suite, 'apt', packages, path));
}

/** Where that is, or will be. */
export function rootfsPath(docker: DockerVersion): string {
  const { name, key } = recipeOf(docker);
  return cachePath(name, key);
}
