/** A real etcd for tests: one member on loopback, its data in a directory of its own, without fsync. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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
  const [port, peerPort] = await freePorts();
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const output: string[] = [];
    const started = spawn(
      'etcd',
      [
        `--data-dir=${dataDir}`,
        `--listen-client-urls=${endpoint}`,
        `--advertise-client-urls=${endpoint}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
        '--log-level=error',
        '--unsafe-no-fsync',
        ...settings,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    started.stderr.on('data', (text) => output.push(String(text)));
    child = started;
    while (!(await listening(port))) {
      if (started.exitCode !== null) throw new Error(`etcd ended at once: ${output.join('')}`);
      await delay(20);
    }
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
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop,
    start,
    async remove() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Whether something listens there; etcd does so when it has a leader, and every call waits for that anyway. */
function listening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** Two ports that were free a moment ago. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server, 'listening');
      const address = server.address();
      server.close();
      return typeof address === 'object' && address !== null ? address.port : 0;
    }),
  );
  const [first = 0, second = 0] = ports;
  return [first, second];
}
