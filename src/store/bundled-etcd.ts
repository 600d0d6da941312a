/**
 * The etcd of a host that is on its own: a child of weft, reached by a Unix socket in its data directory, so
 * that it needs no port and serves nobody else. Everything above it is the same as with a shared etcd.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WeftError } from '../errors.ts';
import { backOff } from './back-off.ts';
import { type Clock, systemClock } from './clock.ts';

export interface BundledEtcdOptions {
  /** Absolute and short: it holds a Unix socket. Made when absent, for this user only. */
  readonly dataDir: string;
  readonly log: { info(text: string): void; warn(text: string): void };
  /** Ends etcd. */
  readonly signal: AbortSignal;
  /** Name or path of the program. */
  readonly binary?: string;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface BundledEtcd {
  /** For `openEtcdStore`. Answers some 0.5 s after the start. */
  readonly endpoint: string;
  /** Resolves when etcd has ended, after `signal`. */
  readonly ended: Promise<void>;
}

// etcd 3.4 takes a Unix socket only as host and port; it becomes a file of that name in its working directory.
const clientSocket = 'client.sock:0';
const peerSocket = 'peer.sock:0';
/** unix(7): 108 with the zero at its end. */
const maxSocketPathBytes = 107;

const settings = [
  '--name=weft',
  '--data-dir=member',
  `--listen-client-urls=unix://${clientSocket}`,
  `--advertise-client-urls=unix://${clientSocket}`,
  `--listen-peer-urls=unix://${peerSocket}`,
  `--initial-advertise-peer-urls=unix://${peerSocket}`,
  `--initial-cluster=weft=unix://${peerSocket}`,
  // With nobody to elect but itself it need not wait the usual second.
  '--heartbeat-interval=50',
  '--election-timeout=250',
  // Off by default: every version of every key would be kept for ever.
  '--auto-compaction-mode=periodic',
  '--auto-compaction-retention=10m',
  '--quota-backend-bytes=268435456',
  '--snapshot-count=5000',
  '--max-snapshots=2',
  '--max-wals=2',
  '--enable-grpc-gateway=false',
  '--logger=zap',
  '--log-level=warn',
];

/**
 * Returns at once, and keeps etcd running until the signal aborts: after each end it is started again.
 *
 * @throws WeftError `invalid` when the path of the data directory is too long.
 */
export function startBundledEtcd(options: BundledEtcdOptions): BundledEtcd {
  const socket = join(options.dataDir, clientSocket);
  if (Buffer.byteLength(socket) > maxSocketPathBytes) {
    throw new WeftError(
      'invalid',
      `the path ${socket} is too long for a Unix socket (${maxSocketPathBytes} bytes at most); choose a shorter state directory`,
    );
  }
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  return { endpoint: `unix:${socket}`, ended: keepRunning(options) };
}

async function keepRunning(options: BundledEtcdOptions): Promise<void> {
  const { log, signal, clock = systemClock, random = Math.random } = options;
  const pause = backOff(200, 10_000, random);
  while (!signal.aborted) {
    const startedMs = clock.now();
    const reason = await run(options);
    if (signal.aborted) return;
    if (clock.now() - startedMs > 60_000) pause.reset();
    const waitMs = pause.next();
    log.warn(`the bundled etcd ended (${reason}) and is started again in ${Math.round(waitMs)} ms`);
    await clock.sleep(waitMs, signal);
  }
}

/** From start to end; answers why it ended. */
function run({ dataDir, log, signal, binary = 'etcd' }: BundledEtcdOptions): Promise<string> {
  // Left behind by one that was killed; etcd would not take its place.
  for (const socket of [clientSocket, peerSocket]) rmSync(join(dataDir, socket), { force: true });
  return new Promise((resolve) => {
    // The kernel ends it with us, however we end: an orphan would hold the lock of the data directory.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, ...settings], {
      cwd: dataDir,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const stop = () => child.kill('SIGTERM');
    const finish = (reason: string) => {
      signal.removeEventListener('abort', stop);
      resolve(reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    createInterface({ input: child.stderr }).on('line', (line) => log.info(`etcd: ${line}`));
    child.once('error', (error) => finish(error.message));
    child.once('close', (code, killedBy) => finish(killedBy ?? `exit code ${code}`));
  });
}
