import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Etcd3 } from 'etcd3';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { explain, WeftError } from '../../src/errors.ts';
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

const committed = { outcome: 'committed' };
const codeOf = (error: unknown) => (error instanceof WeftError ? error.code : error);

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

  test('one that is changed, on etcd and in its file, is used from then on', async () => {
    const etcd = await serveWithUsers();
    let file = password;
    const renewed = () => ({ username: 'root', password: file });
    const store = open({ endpoints: [etcd.endpoint], renewed });
    const watcher = await live(store);
    const admin = new Etcd3({ hosts: etcd.endpoint, auth: { username: 'root', password } });
    await admin.user('root').setPassword('an0ther-one');
    admin.close();
    await etcd.stop();
    await etcd.start();
    await expect.poll(() => store.get('/a').catch(codeOf), { timeout: 10_000 }).toBe('denied');
    file = 'an0ther-one';
    await expect
      .poll(() => store.transact(write('a')).catch(codeOf), { timeout: 10_000 })
      .toMatchObject(committed);
    await watcher.until(({ seen }) => seen.a === '');
  });

  test('none is refused', async () => {
    const etcd = await serveWithUsers();
    const store = open({ endpoints: [etcd.endpoint] });
    await expect(store.get('/a')).rejects.toMatchObject({ code: 'denied' });
  });
});

describe('by TLS', () => {
  const openssl = (dir: string, line: string) =>
    execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });

  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';

  /** A certificate of the authority `ca` of the directory, and its key. */
  function certify(dir: string, name: string): void {
    openssl(
      dir,
      `req -x509 ${newKey} -days 1 -keyout ${name}.key -out ${name}.crt -subj /CN=${name} -CA ca.crt -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`,
    );
  }

  /** An authority, and a server and a client certificate of it, in one directory. */
  async function makeCertificates(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'weft-tls-'));
    cleanups.push(() => rm(dir, { recursive: true, force: true }));
    openssl(dir, `req -x509 ${newKey} -days 1 -keyout ca.key -out ca.crt -subj /CN=authority`);
    for (const name of ['server', 'client']) certify(dir, name);
    return dir;
  }

  async function serveWithTls(): Promise<{
    readonly etcd: EtcdServer;
    readonly dir: string;
    readonly file: (name: string) => Promise<Buffer>;
  }> {
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
    return { etcd, dir, file: (name) => readFile(join(dir, name)) };
  }

  test('with a client certificate', async () => {
    const { etcd, file } = await serveWithTls();
    const [ca, cert, key] = await Promise.all([file('ca.crt'), file('client.crt'), file('client.key')]);
    const store = open({ endpoints: [etcd.endpoint], ca, cert, key });
    expect(await store.transact(write('a'))).toMatchObject({ outcome: 'committed' });
    expect((await live(store)).seen).toEqual({ a: '' });
  });

  test('with a client certificate that has ended, and is renewed while weft runs', async () => {
    const { etcd, dir } = await serveWithTls();
    const read = (name: string) => readFileSync(join(dir, name));
    const renewed = () => ({ ca: read('ca.crt'), cert: read('client.crt'), key: read('client.key') });
    const store = open({ endpoints: [etcd.endpoint], renewed });
    const watcher = await live(store);
    openssl(dir, `req ${newKey} -keyout client.key -out client.csr -subj /CN=client`);
    openssl(dir, 'x509 -req -in client.csr -CA ca.crt -CAkey ca.key -set_serial 7 -days -1 -out client.crt');
    // What is connected stays so.
    expect(await store.transact(write('a'))).toMatchObject(committed);
    await etcd.stop();
    await etcd.start();
    await expect
      .poll(() => store.get('/a').catch(explain), { timeout: 10_000 })
      .toMatch(/certificate|ECONNRESET|closed|dropped/i);
    // Half renewed, as for a moment while the files are replaced.
    const key = read('client.key');
    certify(dir, 'client');
    const renewedKey = read('client.key');
    writeFileSync(join(dir, 'client.key'), key);
    await expect.poll(() => store.get('/a').catch(explain), { timeout: 10_000 }).toContain('cannot be used');
    writeFileSync(join(dir, 'client.key'), renewedKey);
    await expect
      .poll(() => store.transact(write('b')).catch(codeOf), { timeout: 10_000 })
      .toMatchObject(committed);
    await watcher.until(({ seen }) => seen.b === '');
  });

  test('with an authority that is replaced while weft runs', async () => {
    const { etcd, dir } = await serveWithTls();
    const read = (name: string) => readFileSync(join(dir, name));
    const renewed = () => ({ ca: read('known.crt'), cert: read('client.crt'), key: read('client.key') });
    const known = read('ca.crt');
    writeFileSync(join(dir, 'known.crt'), known);
    const store = open({ endpoints: [etcd.endpoint], renewed });
    expect(await store.transact(write('a'))).toMatchObject(committed);
    await etcd.stop();
    openssl(dir, `req -x509 ${newKey} -days 1 -keyout ca.key -out ca.crt -subj /CN=another`);
    for (const name of ['server', 'client']) certify(dir, name);
    await etcd.start();
    await expect.poll(() => store.get('/a').catch(explain), { timeout: 10_000 }).toMatch(/certificate/);
    writeFileSync(join(dir, 'known.crt'), Buffer.concat([known, read('ca.crt')]));
    await expect
      .poll(() => store.transact(write('b')).catch(codeOf), { timeout: 10_000 })
      .toMatchObject(committed);
  });

  test('no failure tells a key or a password, however closely it is looked at', async () => {
    const { etcd, file } = await serveWithTls();
    const [ca, cert, key] = await Promise.all([file('server.crt'), file('client.crt'), file('client.key')]);
    const store = open({
      endpoints: [etcd.endpoint],
      ca,
      cert,
      key,
      username: 'root',
      password: 'Pa55-w0rd',
    });
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    for (const call of [() => store.get('/a'), () => store.grantLease(1), () => store.transact(write('a'))]) {
      const failure = await call().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(WeftError);
      log.error({ err: failure, reason: explain(failure) }, 'failed');
      lines.push(inspect(failure, { depth: 20, showHidden: true }));
    }
    const told = lines.join('\n');
    expect(told).toContain('certificate');
    expect(told).not.toContain('Pa55-w0rd');
    for (const line of key.toString().split('\n').slice(1, 3)) expect(told).not.toContain(line);
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
