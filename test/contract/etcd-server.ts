/** A real etcd for tests: one member on loopback, its data in a directory of its own, without fsync. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface EtcdServer {
  readonly port: number;
  readonly endpoint: string;
  /** SIGSTOP: connections are taken by the kernel, nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL. */
  stop(): Promise<void>;
  /** Again on the same data and port. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** @param settings more of etcd's own flags; with `https`, those that name its certificates. */
export async function startEtcd(
  settings: readonly string[] = [],
  scheme: 'http' | 'https' = 'http',
): Promise<EtcdServer> {
  if (!(process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'etcd')))) {
    throw new Error('these tests need the program etcd in PATH (Debian has it in the package etcd-server)');
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'weft-etcd-'));
  const [port, peerPort] = [await freePort(), await freePort()];
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const started = spawn(
      'etcd',
      [
        `--data-dir=${dataDir}`,
        `--listen-client-urls=${endpoint}`,
        `--advertise-client-urls=${endpoint}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        '--unsafe-no-fsync',
        ...settings,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child = started;
    await new Promise<void>((resolve, reject) => {
      let output = '';
      started.stderr.on('data', (text) => {
        output = (output + text).slice(-10_000);
        if (output.includes('ready to serve client requests')) resolve();
      });
      started.once('exit', () => reject(new Error(`etcd ended at once: ${output}`)));
    });
  }

  async function stop(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  await start();
  return {
    port,
    endpoint,
    freeze() {
      child?.kill('SIGSTOP');
      while (child?.pid !== undefined && !isStopped(child.pid)) {
        // Its threads stop one after the other, in no time.
      }
    },
    thaw: () => void child?.kill('SIGCONT'),
    stop,
    start,
    async remove() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Below the range from which the kernel takes ports by itself, so that it stays free while etcd is stopped. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!bound) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Whether none of its threads runs any more: until then it may answer. */
function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((id) => /\) T /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8')));
}
