import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { endOf } from './launch.ts';
import type { ExecOptions, Machine, Process } from './machine.ts';
import { waitFor } from './wait.ts';

/** What /etc/docker/daemon.json says unless a test says otherwise. */
export const daemonSettings = {
  // Asked for by name, so that a lab on an unfit file system fails instead of crawling on vfs.
  'storage-driver': 'overlay2',
};

/** Docker on a machine: the daemon's life, and the command line. */
export class Dockerd {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Returns when it answers. */
  async start(): Promise<void> {
    const machine = this.#machine;
    if (!existsSync(machine.path('/run/containerd/containerd.sock'))) {
      // A process of its own, as on real hosts: it lives on when dockerd is killed.
      await machine.start('containerd', ['containerd']);
      await waitFor('containerd', () => existsSync(machine.path('/run/containerd/containerd.sock')));
    }
    // Left behind by a killed one; the pid may be in use by now.
    await rm(machine.path('/run/docker.pid'), { force: true });
    const dockerd = await machine.start('dockerd', [
      'dockerd',
      '--containerd=/run/containerd/containerd.sock',
    ]);
    const log = join(machine.spec.folder, 'log/dockerd.log');
    try {
      await waitFor('an answer of dockerd', async () => !dockerd.running() || (await this.answers()), 60_000);
    } catch (error) {
      throw new Error(`${machine.spec.name}: dockerd does not answer; ${await endOf(log)}`, {
        cause: error,
      });
    }
    if (!dockerd.running()) {
      throw new Error(`${machine.spec.name}: dockerd ended at its start; ${await endOf(log)}`);
    }
  }

  /** The running daemon. */
  async process(): Promise<Process> {
    const pid = await readFile(this.#machine.path('/run/docker.pid'), 'utf8');
    return this.#machine.process(Number(pid));
  }

  /** As `systemctl stop docker`: containers end first, unless live-restore is on. */
  async stop(): Promise<void> {
    await this.#end('TERM');
  }

  async kill(): Promise<void> {
    await this.#end('KILL');
  }

  async #end(signal: 'TERM' | 'KILL'): Promise<void> {
    const dockerd = await this.process();
    await dockerd.signal(signal);
    await dockerd.ended(120_000);
  }

  /** Runs `docker` and answers its output. @throws CommandError */
  docker(args: readonly string[], options?: ExecOptions): Promise<string> {
    return this.#machine.exec(['docker', ...args], options);
  }

  answers(): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const socketPath = this.#machine.path('/run/docker.sock');
    const ping = request({ socketPath, path: '/_ping', timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy(new Error('no answer within 5 s')));
    ping.on('error', reject);
    ping.end();
    return promise;
  }
}
