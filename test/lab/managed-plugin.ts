import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dockerd } from './dockerd.ts';
import { cacheFolder } from './folders.ts';
import { endOf } from './launch.ts';
import { withLock } from './lock.ts';
import type { Machine } from './machine.ts';
import { run, say } from './run.ts';

export interface PluginHost {
  readonly machine: Machine;
  readonly dockerd: Dockerd;
}

/** What `docker plugin create` leaves on disk, and every supported version of Docker reads at its start. */
const stateFolder = '/var/lib/docker/plugins';

const lock = join(cacheFolder, 'locks/plugins');

/**
 * Installs and enables the plugin that a folder of config.json and rootfs/ describes. Settings are those of
 * `docker plugin set`.
 *
 * `docker plugin create` compresses for 10 s, so it is done once for each build, on whichever host comes
 * first, and its outcome copied to the others. For that their dockerd is restarted, which ends their containers.
 */
export async function installPlugin(
  host: PluginHost,
  buildFolder: string,
  name: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const { machine, dockerd } = host;
  if (!existsSync(join(buildFolder, 'config.json'))) {
    throw new Error(`there is no plugin in ${buildFolder}; build it with: npm run plugin:build`);
  }
  if ((await installed(dockerd)).includes(name)) {
    throw new Error(`${machine.spec.name} has a plugin ${name} already; docker plugin rm it first`);
  }
  // Each build folder has its own, so that builds of several copies of the project do not take away each other's.
  const state = join(cacheFolder, 'plugins', `${name}-${digest(buildFolder)}`, await contentKey(buildFolder));
  const isFirst = await withLock(lock, async () => {
    if (existsSync(state)) return false;
    await create(host, buildFolder, name, state);
    return true;
  });
  if (!isFirst) {
    await dockerd.stop();
    await withLock(lock, () => run(['cp', '--archive', `${state}/.`, machine.path(stateFolder)]));
    await dockerd.start();
  }
  const assignments = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  if (assignments.length > 0) await dockerd.docker(['plugin', 'set', name, ...assignments]);
  try {
    await dockerd.docker(['plugin', 'enable', name]);
  } catch (error) {
    const log = await endOf(join(machine.spec.folder, 'log/dockerd.log'), 30);
    throw new Error(`${machine.spec.name}: plugin ${name} could not be enabled; ${log}`, { cause: error });
  }
}

async function installed(dockerd: Dockerd): Promise<string[]> {
  const names = await dockerd.docker(['plugin', 'ls', '--format={{.Name}}']);
  return names.split('\n').map((name) => name.replace(/:latest$/, ''));
}

/** Changes with every build, without reading 100 MB. */
async function contentKey(folder: string): Promise<string> {
  const files = (await run(['find', folder, '-printf', '%P %s %T@ %m\n'])).split('\n').sort();
  return digest(files.join('\n'));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}

async function create(host: PluginHost, buildFolder: string, name: string, state: string): Promise<void> {
  const { machine, dockerd } = host;
  say(`creating the plugin ${name} on ${machine.spec.name} (once for each build; 10 s)`);
  const inside = '/var/tmp/plugin';
  await run(['cp', '--archive', buildFolder, machine.path(inside)]);
  await dockerd.docker(['plugin', 'create', name, inside], { timeoutMs: 180_000 });
  await rm(machine.path(inside), { recursive: true });
  const states = join(state, '..');
  await mkdir(states, { recursive: true });
  // Those of earlier builds are of no more use.
  for (const earlier of await readdir(states)) {
    await rm(join(states, earlier), { recursive: true });
  }
  await run(['cp', '--archive', machine.path(stateFolder), `${state}.partial`]);
  await rename(`${state}.partial`, state);
}
