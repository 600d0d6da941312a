import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig, readSockets } from '../../src/config.ts';
import { isSettingName, settings } from '../../src/settings.ts';

interface PluginVariable {
  readonly name: string;
  readonly description: string;
  readonly value: string;
  readonly settable?: readonly string[];
}

/** What the managed plugin offers to `docker plugin set` and grants the process. */
const plugin: {
  readonly env: readonly PluginVariable[];
  readonly interface: { readonly socket: string };
  readonly propagatedMount: string;
  readonly linux: { readonly capabilities: readonly string[] };
  readonly mounts: readonly {
    readonly name: string;
    readonly source: string;
    readonly destination: string;
  }[];
} = JSON.parse(readFileSync(new URL('../../config.json', import.meta.url), 'utf8'));

const variables = plugin.env.filter(({ name }) => name.startsWith('WEFT_'));

test('config.json offers every setting, in the same order, and no other', () => {
  expect(variables.map(({ name }) => name)).toEqual(Object.keys(settings));
});

test.each(variables)('config.json describes $name as weft does', ({ name, description, value, settable }) => {
  if (!isSettingName(name)) throw new Error(`weft does not know ${name}`);
  const setting = settings[name];
  expect(description).toBe(setting.help);
  expect(value).toBe(setting.managed ?? setting.default);
  expect(settable).toEqual(setting.managed === undefined ? ['value'] : undefined);
});

test('config.json mounts what its settings point at', () => {
  const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  const config = readConfig(env);
  expect(plugin.mounts.map(({ destination }) => destination)).toContain(config.runDir);
  expect(config.stateDir).toBe(plugin.propagatedMount);
  expect(readSockets(env).at(-1)).toBe(`/run/docker/plugins/${plugin.interface.socket}`);
});

test('the README gives a reason for each privilege, and for no other', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, table = ''] = /\| privilege \| why \|\n\|---\|---\|\n((?:\|.*\n)+)/.exec(readme) ?? [];
  const told = Array.from(table.matchAll(/^\| (.+?) \| .{20,} \|$/gm), ([, privilege = '']) => privilege);
  const named = told.flatMap((privilege) => /`(.+?)`/.exec(privilege)?.[1] ?? privilege);
  const { linux, mounts, propagatedMount } = plugin;
  const [run, certificates] = mounts;
  expect(mounts).toHaveLength(2);
  expect(named).toEqual([
    'host network',
    ...linux.capabilities,
    run?.source,
    propagatedMount,
    certificates?.name,
  ]);
});
