/** Who may import whom. The folders are the architecture; this keeps it so. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../src');

/** For each folder: the folders, or single files, that it may use besides itself and `errors.ts`. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  model: [],
  kernel: ['model'],
  store: ['model'],
  // Its decisions are pure; what it shares with other hosts goes through the store.
  ipam: ['model', 'store'],
  // Pure: knows the kernel only as the words in which it says what should be.
  fabric: ['model', 'kernel/state.ts', 'kernel/nft.ts'],
  agent: ['model', 'kernel', 'store', 'ipam', 'fabric', 'log.ts'],
  // Docker's API; what it learns and tells is for all hosts through the agent.
  observe: ['model', 'agent', 'store/back-off.ts', 'store/clock.ts', 'log.ts'],
  cnm: ['model', 'agent/calls.ts', 'log.ts'],
  names: ['model', 'agent', 'kernel', 'log.ts'],
  // What people ask of a running weft; the command itself knows only the socket.
  cli: ['model', 'agent', 'observe', 'cnm/socket.ts', 'store/clock.ts', 'log.ts'],
};

/** Packages with effects or a surface of their own: each has one door. */
const doors: Readonly<Record<string, string>> = {
  etcd3: 'store/',
  execa: 'kernel/run.ts',
  fastify: 'cnm/server.ts',
  'dns-packet': 'names/message.ts',
  koffi: 'kernel/syscalls.ts',
  pino: 'log.ts',
  'ip-num': 'model/address.ts',
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const imports = files.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const statements = text.matchAll(/(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/g);
  const dynamic = text.matchAll(/import\(\s*'([^']+)'\s*\)/g);
  return [
    ...Array.from(statements, ([, type, to = '']) => ({ from: file, to, typeOnly: type !== undefined })),
    ...Array.from(dynamic, ([, to = '']) => ({ from: file, to, typeOnly: false })),
  ].map(({ to, ...rest }) => ({
    ...rest,
    to: to.startsWith('.') ? normalize(join(dirname(file), to)) : to,
  }));
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

describe('the folders', () => {
  test.each(Object.keys(allowed))('%s uses only what is below it', (folder) => {
    const forbidden = imports.filter(({ from, to }) => {
      if (folderOf(from) !== folder || !files.includes(to) || to === 'errors.ts') return false;
      const target = folderOf(to);
      return target !== folder && !allowed[folder]?.some((allow) => allow === target || allow === to);
    });
    expect(forbidden).toEqual([]);
  });

  test('every folder has its rule', () => {
    const folders = new Set(files.filter((file) => file.includes('/')).map(folderOf));
    expect([...folders].filter((folder) => !(folder in allowed))).toEqual([]);
  });
});

describe('the doors', () => {
  test.each(Object.entries(doors))('%s is used as a value only in %s', (name, door) => {
    const users = imports
      .filter(({ to, typeOnly }) => !typeOnly && (to === name || to.startsWith(`${name}/`)))
      .map(({ from }) => from);
    expect(new Set(users).size).toBeLessThanOrEqual(1);
    for (const user of users) expect(user.startsWith(door), `${user} imports ${name}`).toBe(true);
  });

  test('the environment is read in config.ts only', () => {
    const readers = files.filter((file) => readFileSync(join(root, file), 'utf8').includes('process.env'));
    expect(readers.map((file) => relative('.', file))).toEqual(['config.ts']);
  });
});
