import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { baseImage } from './base-image.ts';
import { killCgroup, labsCgroup, removeCgroup } from './cgroup.ts';
import { Dockerd, daemonSettings } from './dockerd.ts';
import { cacheFolder, projectFolder } from './folders.ts';
import { onInterrupt } from './interrupt.ts';
import { withLock } from './lock.ts';
import { Machine } from './machine.ts';
import { rootfs } from './rootfs.ts';
import { say } from './run.ts';

const builderCgroup = () => `${labsCgroup()}.builder`;

/** It shares this machine's network, to reach package mirrors, and must change nothing in it. */
const settings = {
  ...daemonSettings,
  bridge: 'none',
  iptables: false,
  ip6tables: false,
  'ip-forward': false,
};

/**
 * Gives the work a Docker to build images with: the user's own if DOCKER_HOST is set, else one started for
 * this, without a registry, that holds the base image of weft's Dockerfile and keeps its layers from run to
 * run. Only `docker build --network host` has a network there.
 *
 * `docker` is the argv by which to run the command line, in the project's folder; `DOCKER_HOST` is for
 * programs that speak to the API themselves.
 */
export async function withBuilder<T>(
  work: (env: { DOCKER_HOST: string }, docker: string[]) => Promise<T>,
): Promise<T> {
  const given = process.env.DOCKER_HOST;
  if (given) return work({ DOCKER_HOST: given }, ['docker']);
  const [root, image] = [await rootfs('28.5'), await baseImage()];
  return withLock(join(cacheFolder, 'locks/builder'), async () => {
    await stop();
    const forget = onInterrupt(stop);
    try {
      say('starting the image builder');
      const machine = await Machine.boot({
        name: 'builder',
        folder: join(cacheFolder, 'builder'),
        cgroup: builderCgroup(),
        rootfs: root,
        shared: [projectFolder],
        etc: {
          'docker/daemon.json': JSON.stringify(settings),
          'resolv.conf': await readFile('/etc/resolv.conf', 'utf8'),
          hosts: await readFile('/etc/hosts', 'utf8'),
        },
      });
      const dockerd = new Dockerd(machine);
      await dockerd.start();
      await image.importInto(dockerd);
      const env = { DOCKER_HOST: `unix://${machine.path('/run/docker.sock')}` };
      return await work(env, machine.inside(['env', `--chdir=${projectFolder}`, 'docker']));
    } finally {
      forget();
      await stop();
    }
  });
}

async function stop(): Promise<void> {
  const cgroup = builderCgroup();
  await killCgroup(cgroup);
  await removeCgroup(cgroup);
}
