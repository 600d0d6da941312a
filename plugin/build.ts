/**
 * Makes `plugin/build/`, a folder for `docker plugin create`: the root file system that the Dockerfile
 * describes, and config.json. It takes the user's Docker, or the lab's when there is none. Nothing is done when
 * nothing has changed; `--force` does it all the same.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withBuilder } from '../test/lab/builder.ts';
import { cacheFolder, projectFolder } from '../test/lab/folders.ts';
import { withLock } from '../test/lab/lock.ts';
import { run, runAttached } from '../test/lab/run.ts';

export const pluginFolder = join(projectFolder, 'plugin/build');
const keyFile = join(pluginFolder, 'key');

/** All that goes into the plugin; `.dockerignore` lets nothing else in. */
const inputs = [
  '.dockerignore',
  '.npmrc',
  'Dockerfile',
  'config.json',
  'package-lock.json',
  'package.json',
  'plugin/bundle.ts',
  'src/**/*.ts',
];

/** Answers the folder. Whoever else builds meanwhile is waited for. */
export function buildPlugin(force = false): Promise<string> {
  return withLock(join(cacheFolder, 'locks/plugin-build'), async () => {
    const key = await contentKey();
    if (!force && existsSync(keyFile) && (await readFile(keyFile, 'utf8')) === key) {
      say('nothing has changed since the last build');
      return pluginFolder;
    }
    const fresh = join(pluginFolder, 'fresh');
    await rm(fresh, { recursive: true, force: true });
    // Made here, because Docker would make it unreadable to all but its owner.
    await mkdir(join(fresh, 'rootfs'), { recursive: true });
    await exportRootfs(join(fresh, 'rootfs'));
    // Without its key the folder counts as not built, whatever it holds when this is interrupted.
    await rm(keyFile, { force: true });
    await rm(join(pluginFolder, 'rootfs'), { recursive: true, force: true });
    await rename(join(fresh, 'rootfs'), join(pluginFolder, 'rootfs'));
    await copyFile(join(projectFolder, 'config.json'), join(pluginFolder, 'config.json'));
    await rm(fresh, { recursive: true });
    await writeFile(keyFile, key);
    const [size] = (await run(['du', '--summarize', '--human-readable', join(pluginFolder, 'rootfs')])).split(
      '\t',
    );
    say(`the root file system takes ${size}`);
    return pluginFolder;
  });
}

async function contentKey(): Promise<string> {
  const hash = createHash('sha256');
  const paths = globSync(inputs, { cwd: projectFolder }).toSorted();
  for (const path of paths) hash.update(`${path}\0`).update(await readFile(join(projectFolder, path)));
  return hash.digest('hex');
}

async function exportRootfs(target: string): Promise<void> {
  say('building the image (a minute or two when it is the first time)');
  const build = ['build', `--output=type=local,dest=${target}`];
  if (await userHasDocker()) {
    // Docker 20.10 exports a file system only through BuildKit, which it leaves off.
    return attached(['env', 'DOCKER_BUILDKIT=1', 'docker', ...build, projectFolder]);
  }
  // The lab's builder has no network of its own.
  await withBuilder((_, docker) => attached([...docker, ...build, '--network=host', projectFolder]));
}

/** The one that the command line speaks to: of DOCKER_HOST, of the current context, or at the usual socket. */
async function userHasDocker(): Promise<boolean> {
  try {
    await run(['docker', 'version', '--format={{.Server.Version}}'], { timeoutMs: 10_000 });
    return true;
  } catch {
    return false;
  }
}

async function attached(argv: readonly string[]): Promise<void> {
  const exitCode = await runAttached(argv);
  if (exitCode !== 0)
    throw new Error(`docker build ended with exit code ${exitCode}; its output above says why`);
}

function say(line: string): void {
  process.stderr.write(`plugin: ${line}\n`);
}

const nextSteps = `
plugin/build is ready. To install it on this host:

  docker plugin create weft-plugin plugin/build
  docker plugin set weft-plugin WEFT_ETCD_ENDPOINTS=http://ETCD-HOST:2379    # not for one lone host
  docker plugin enable weft-plugin
  docker network create --driver weft --ipam-driver weft-ipam blue
`;

if (import.meta.main) {
  await buildPlugin(process.argv.includes('--force'));
  process.stdout.write(nextSteps);
}
