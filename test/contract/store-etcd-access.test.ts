import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterEach, describe, expect, test } from 'vitest';
import { explain } from '../../src/errors.ts';
import { type EtcdOptions, openEtcdStore } from '../../src/store/etcd.ts';
import type { Store } from '../../src/store/store.ts';
import { Watcher } from '../fakes/watcher.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(options: EtcdOptions): Store {
  const store = openEtcdStore(options);
  cleanups.push(() => store.close());
  return store;
}

async function serve(
  settings: readonly string[] = [],
  scheme: 'http' | 'https' = 'http',
): Promise<EtcdServer> {
  const etcd = await startEtcd(settings, scheme);
  cleanups.push(() => etcd.remove());
  return etcd;
}

async function live(store: Store, prefix = '/'): Promise<Watcher> {
  const watcher = new Watcher(store, prefix);
  cleanups.push(() => watcher.stop());
  await watcher.until(({ mirror }) => mirror.complete);
  return watcher;
}

const write = (key: string) => ({ conditions: [], writes: [{ put: `/${key}`, value: '' }] });

describe('with a password', () => {
  const password = 'Pa55-w0rd';

  async function serveWithUsers(): Promise<EtcdServer> {
    const etcd = await serve();
    const admin = new Etcd3({ hosts: etcd.endpoint });
    await admin.user('root').create(password);
    await admin.user('root').addRole('root');
    await admin.auth.authEnable();
    admin.close();
    return etcd;
  }

  test('reads, writes, leases and watches, and goes on when a restart has ended its token', async () => {
    const etcd = await serveWithUsers();
    const store = open({ endpoints: [etcd.endpoint], username: 'root', password });
    const lease = await store.grantLease(60);
    const watcher = await live(store);
    await store.transact(write('before'));
    await watcher.until(({ seen }) => seen.before === '');

    await etcd.stop();
    await watcher.until(({ mirror }) => !mirror.connected);
    await etcd.start();
    await watcher.until(({ mirror }) => mirror.connected);
    await expect.poll(() => store.renewLease(lease).catch(() => false), { timeout: 10_000 }).toBe(true);
    expect(await store.transact(write('after'))).toMatchObject({ outcome: 'committed' });
    await watcher.until(({ seen }) => seen.after === '');
  });

  test('keeps a lease by renewals alone when a restart has ended its token', async () => {
    const etcd = await serveWithUsers();
    const store = open({ endpoints: [etcd.endpoint], username: 'root', password });
    const lease = await store.grantLease(60);
    await etcd.stop();
    await etcd.start();
    await expect.poll(() => store.renewLease(lease).catch(() => false), { timeout: 10_000 }).toBe(true);
  });

  test('a user limited to the prefix is enough, also to come back', async () => {
    const etcd = await serve();
    const admin = new Etcd3({ hosts: etcd.endpoint });
    await admin.role('weft').create();
    await admin.role('weft').grant({ permission: 'Readwrite', range: admin.range({ prefix: '/weft/' }) });
    await admin.user('weft').create(password);
    await admin.user('weft').addRole('weft');
    await admin.user('root').create(password);
    await admin.user('root').addRole('root');
    await admin.auth.authEnable();
    admin.close();

    const store = open({ endpoints: [etcd.endpoint], username: 'weft', password });
    const watcher = await live(store, '/weft/');
    await etcd.stop();
    await watcher.until(({ mirror }) => !mirror.connected);
    await etcd.start();
    await watcher.until(({ mirror }) => mirror.connected);
    await store.transact(write('weft/a'));
    await watcher.until(({ seen }) => seen.a === '');
    await expect(store.transact(write('others/a'))).rejects.toMatchObject({ code: 'denied' });
    expect(await store.get('/weft/a')).toBeDefined();
  });

  test('a wrong password is refused, and no message holds it', async () => {
    const etcd = await serveWithUsers();
    const store = open({ endpoints: [etcd.endpoint], username: 'root', password: 'wr0ng-0ne' });
    const failure = await store.get('/a').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'denied' });
    expect(explain(failure)).not.toContain('wr0ng-0ne');
    await expect(store.transact(write('a'))).rejects.toMatchObject({ code: 'denied' });
  });

  test('none is refused', async () => {
    const etcd = await serveWithUsers();
    const store = open({ endpoints: [etcd.endpoint] });
    await expect(store.get('/a')).rejects.toMatchObject({ code: 'denied' });
  });
});

describe('by TLS', () => {
  /** An authority, and a server and a client certificate of it, in one directory. */
  async function makeCertificates(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'weft-tls-'));
    cleanups.push(() => rm(dir, { recursive: true, force: true }));
    const openssl = (line: string) => execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });
    const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1';
    openssl(`req -x509 ${key} -keyout ca.key -out ca.crt -subj /CN=authority`);
    for (const name of ['server', 'client']) {
      openssl(
        `req -x509 ${key} -keyout ${name}.key -out ${name}.crt -subj /CN=${name} -CA ca.crt -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`,
      );
    }
    return dir;
  }

  async function serveWithTls(): Promise<{ etcd: EtcdServer; file: (name: string) => Promise<Buffer> }> {
    const dir = await makeCertificates();
    const etcd = await serve(
      [
        `--cert-file=${dir}/server.crt`,
        `--key-file=${dir}/server.key`,
        `--trusted-ca-file=${dir}/ca.crt`,
        '--client-cert-auth',
      ],
      'https',
    );
    return { etcd, file: (name) => readFile(join(dir, name)) };
  }

  test('with a client certificate', async () => {
    const { etcd, file } = await serveWithTls();
    const [ca, cert, key] = await Promise.all([file('ca.crt'), file('client.crt'), file('client.key')]);
    const store = open({ endpoints: [etcd.endpoint], ca, cert, key });
    expect(await store.transact(write('a'))).toMatchObject({ outcome: 'committed' });
    expect((await live(store)).seen).toEqual({ a: '' });
  });

  test('without one, or with an unknown authority, it says what TLS said', async () => {
    const { etcd, file } = await serveWithTls();
    const noCertificate = open({ endpoints: [etcd.endpoint], ca: await file('ca.crt') });
    await expect(noCertificate.get('/a')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/certificate|ECONNRESET|closed|dropped/i),
    });
    const noAuthority = open({ endpoints: [etcd.endpoint] });
    await expect(noAuthority.get('/a')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('certificate'),
    });
  });
});

test.each([
  ['ftp://10.0.0.1:2379', {}],
  ['10.0.0.1:2379', {}],
  ['http://10.0.0.1', {}],
  ['http://user:secret@10.0.0.1:2379', {}],
  ['https://10.0.0.1:2379', { cert: Buffer.from('') }],
  ['https://10.0.0.1:2379', { ca: Buffer.from('no PEM') }],
  ['https://10.0.0.1:2379', { cert: Buffer.from('no PEM'), key: Buffer.from('no PEM') }],
])('%s %o is refused before anything is connected', (endpoint, access) => {
  const refused = () => openEtcdStore({ endpoints: [endpoint], ...access });
  expect(refused).toThrow(expect.objectContaining({ code: 'invalid' }));
  expect(refused).not.toThrow(/secret/);
});

test('no endpoint at all is refused', () => {
  expect(() => openEtcdStore({ endpoints: [] })).toThrow(expect.objectContaining({ code: 'invalid' }));
});
