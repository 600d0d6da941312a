import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startBundledEtcd } from '../../src/store/bundled-etcd.ts';
import { openEtcdStore } from '../../src/store/etcd.ts';
import type { Store } from '../../src/store/store.ts';
import { Watcher } from '../fakes/watcher.ts';

let dataDir: string;
let abort: AbortController;
let ended: Promise<void> | undefined;
let logged: string[];
const stores: Store[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'weft-bundled-'));
  abort = new AbortController();
  ended = undefined;
  logged = [];
});

afterEach(async () => {
  abort.abort();
  await ended;
  for (const store of stores.splice(0)) await store.close();
  await rm(dataDir, { recursive: true, force: true });
});

function start(binary?: string): Store {
  const log = { info: (text: string) => logged.push(text), warn: (text: string) => logged.push(text) };
  const etcd = startBundledEtcd({
    dataDir,
    log,
    signal: abort.signal,
    ...(binary !== undefined && { binary }),
  });
  ended = etcd.ended;
  return open(etcd.endpoint);
}

function open(endpoint: string): Store {
  const store = openEtcdStore({ endpoints: [endpoint] });
  stores.push(store);
  return store;
}

async function answering(store: Store): Promise<void> {
  const watcher = new Watcher(store, '/');
  await watcher.until(({ mirror }) => mirror.connected);
  await watcher.stop();
}

/** Process ids of the etcd that works in the data directory. */
async function etcdProcesses(): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim();
      if (name === 'etcd' && (await readlink(`/proc/${pid}/cwd`)) === dataDir) found.push(Number(pid));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

test('serves this host by a socket, and keeps what it was given over an orderly stop', async () => {
  const store = start();
  await answering(store);
  await store.transact({ conditions: [], writes: [{ put: '/a', value: '1' }] });
  abort.abort();
  await ended;
  expect(await etcdProcesses()).toEqual([]);

  abort = new AbortController();
  const again = start();
  await answering(again);
  expect(await again.get('/a')).toMatchObject({ value: '1' });
});

test('is started again when it dies', async () => {
  const store = start();
  await answering(store);
  await store.transact({ conditions: [], writes: [{ put: '/a', value: '1' }] });
  const watcher = new Watcher(store, '/');
  await watcher.until(({ mirror }) => mirror.connected);
  const [first = 0] = await etcdProcesses();
  process.kill(first, 'SIGKILL');
  await watcher.until(({ mirror }) => !mirror.connected);
  await watcher.until(({ mirror }) => mirror.connected);
  await watcher.stop();
  expect(await store.get('/a')).toMatchObject({ value: '1' });
  expect(await etcdProcesses()).not.toContain(first);
  expect(logged.filter((line) => line.includes('the bundled etcd ended (SIGKILL)'))).toHaveLength(1);
});

test('ends with the process that started it, even when that one is killed', async () => {
  const owner = spawnOwner();
  const store = open(`unix:${join(dataDir, 'client.sock:0')}`);
  await answering(store);
  await store.transact({ conditions: [], writes: [{ put: '/a', value: '1' }] });
  const ownerEnded = once(owner, 'exit');
  owner.kill('SIGKILL');
  await ownerEnded;
  while ((await etcdProcesses()).length > 0) await delay(10);

  const again = start();
  await answering(again);
  expect(await again.get('/a')).toMatchObject({ value: '1' });
});

test('says what is wrong when there is no etcd to run', async () => {
  start('no-such-etcd');
  while (!logged.some((line) => line.includes('ended'))) await delay(10);
  expect(logged.join('\n')).toContain('no-such-etcd');
});

function spawnOwner(): ChildProcess {
  const module = new URL('../../src/store/bundled-etcd.ts', import.meta.url).href;
  const program = `
    const { startBundledEtcd } = await import(${JSON.stringify(module)});
    const log = { info() {}, warn() {} };
    startBundledEtcd({ dataDir: ${JSON.stringify(dataDir)}, log, signal: new AbortController().signal });
    setInterval(() => {}, 1000);
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
}
