/** The command `weft`, over a socket of its own, to a weft of which only the answers are made up. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../../src/cli/command.ts';
import { serveUpkeep } from '../../../src/cli/server.ts';
import type { Upkeep } from '../../../src/cli/upkeep.ts';
import { WeftError } from '../../../src/errors.ts';
import { status, upkeep } from './upkeep.ts';

let folder: string;
let socket: string;
let servers: { close(): void }[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-cli-'));
  socket = join(folder, 'weft.sock');
  servers = [];
});
afterEach(async () => {
  for (const server of servers) server.close();
  await rm(folder, { recursive: true });
});

async function serve(answers: Partial<Upkeep> | Promise<Upkeep> = {}): Promise<string[]> {
  const warnings: string[] = [];
  const warn = (fields: { readonly reason: string }) => void warnings.push(fields.reason);
  const all = answers instanceof Promise ? answers : Promise.resolve({ ...upkeep, ...answers });
  servers.push(await serveUpkeep(socket, all, { warn }));
  return warnings;
}

async function weft(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  let [out, error] = ['', ''];
  const code = await runCommand(words, socket, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
  });
  return { code, out, error };
}

test('without anything to do, it says what it can', async () => {
  const { code, out } = await weft('--help');
  expect(code).toBe(0);
  for (const name of ['status', 'metrics', 'check', 'repair', 'host rm HOST']) expect(out).toContain(name);
});

test('a word that is none is answered by the nearest', async () => {
  expect(await weft('chek')).toEqual({
    ...{ code: 2, out: '' },
    error: 'weft: there is no command "chek": did you mean check?\n',
  });
  expect((await weft('host', 'rm')).error).toContain('see weft --help');
});

test('where no weft runs, it says so', async () => {
  expect(await weft('status')).toMatchObject({ code: 2, error: expect.stringContaining(`at ${socket}`) });
});

test('what keeps weft from working is the answer to everything', async () => {
  await serve(Promise.reject(new WeftError('invalid', 'the settings of weft are wrong')));
  for (const words of [['status'], ['check'], ['host', 'rm', 'h3']]) {
    expect(await weft(...words)).toEqual({
      code: 2,
      out: '',
      error: 'weft: the settings of weft are wrong\n',
    });
  }
});

test('the socket is for root alone, and in the place of one that a killed weft left', async () => {
  await serve();
  await serve();
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
  expect((await weft('check')).code).toBe(0);
});

test('a socket that cannot be made is in the log, and nothing else', async () => {
  socket = join(folder, 'a'.repeat(120));
  expect(await serve()).toHaveLength(1);
});

describe('status', () => {
  test('tells how each host is reached, since when and why', async () => {
    await serve();
    const { code, out } = await weft('status');
    expect(code).toBe(0);
    expect(out).toContain('host h1, id 0123456789ab\nuplink: 10.9.0.1 on eth0, MTU 1500\nstore: connected\n');
    expect(out).toContain('network 10.77.0.0/16: routed, containers here: 2\n');
    expect(out).toMatch(/^host h2 at 10\.9\.0\.2: direct for \d+ h, because packets arrive there$/m);
    expect(out).toMatch(
      /^host h3 at 10\.9\.1\.3: not heard of; encapsulated for \d+ h, because it is behind the router 10\.9\.0\.254$/m,
    );
    expect(out).toContain('address 1 (7 given back)');
    expect(out).toContain(
      'network green is not as on other hosts: a network of driver bridge has its name here\n',
    );
  });

  test('is JSON for programs', async () => {
    await serve();
    expect(JSON.parse((await weft('status', '--json')).out)).toEqual(status);
  });

  test('is numbers for Prometheus', async () => {
    await serve();
    const { out } = await weft('metrics');
    for (const line of [
      '# TYPE weft_leaks_freed_total counter',
      'weft_store_connected 1',
      'weft_networks 2',
      'weft_endpoints 3',
      'weft_peer_direct{host="h2"} 1',
      'weft_peer_alive{host="h3"} 0',
      'weft_leaks{kind="address"} 1',
      'weft_leaks_freed_total{kind="address"} 7',
      'weft_drift_repaired_total 4',
      'weft_replication_troubles 1',
    ]) {
      expect(out.split('\n')).toContain(line);
    }
    expect(out.endsWith('\n')).toBe(true);
  });
});

describe('check', () => {
  test('says that all agrees, by word and exit code', async () => {
    await serve();
    expect(await weft('check')).toEqual({ code: 0, out: 'on host h1, all agrees\n', error: '' });
  });

  test('names what does not', async () => {
    const disagreements = [
      'network a is in the store, and no host takes part in it',
      'subnets b and c overlap',
    ];
    await serve({ check: async () => ({ host: 'h1', disagreements, withoutDocker: 'no such file' }) });
    expect(await weft('check')).toEqual({
      code: 1,
      out: `${disagreements.join('\n')}\nDocker was not asked: no such file\non host h1, 2 things do not agree\n`,
      error: '',
    });
    const { code, out } = await weft('--json', 'check');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ host: 'h1', disagreements, withoutDocker: 'no such file' });
  });
});

test('repair tells what it mended, and what it left', async () => {
  await serve({ repair: async () => ({ host: 'h1', mended: ['a'], disagreements: ['b'] }) });
  expect(await weft('repair')).toMatchObject({
    ...{ code: 1, out: 'mended: a\nleft: b\non host h1, 1 thing does not agree\n' },
  });
});

test('host rm tells what the host had', async () => {
  await serve();
  expect((await weft('host', 'rm', 'h 3/x')).out).toBe(
    'host h3 (h 3/x) is removed, with what was held for it: endpoints 1, networks 2, subnets 2, blocks 3\n',
  );
});
