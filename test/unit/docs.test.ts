/** The tables of the README are those of the code. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { networkOptions } from '../../src/model/options.ts';
import { settings } from '../../src/settings.ts';
import { behaviours } from '../behaviours/behaviours.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

function tableOf(name: string): string[] {
  const [, rest = ''] = readme.split(`<!-- ${name} -->\n`);
  const [table = ''] = rest.split(`<!-- /${name} -->`);
  return table.trim().split('\n');
}

const row = (...cells: string[]) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
const code = (text: string | undefined) => (text ? `\`${text}\`` : '');

test('options of a network', () => {
  const rows = Object.entries(networkOptions).map(([name, { docker, help }]) =>
    row(code(name), code(docker), help),
  );
  expect(tableOf('options')).toEqual(rows);
});

test('settings of the plugin', () => {
  const rows = Object.entries(settings)
    .filter(([, { managed }]) => managed === undefined)
    .map(([name, { default: value, help }]) => row(code(name), code(value), help));
  expect(tableOf('settings')).toEqual(rows);
});

test('virtual machines are set up by the script that the README gives to users', () => {
  const script = 'bash plugin/setup-host.sh ';
  expect(readme).toContain(script);
  const vagrantfile = readFileSync(join(import.meta.dirname, '../vagrant/Vagrantfile'), 'utf8');
  expect(vagrantfile).toContain(script.replace('plugin', '/weft/plugin'));
});

describe('differences from networks of Docker’s own', () => {
  test('are those that the behaviours tell', () => {
    const rows = behaviours.flatMap(({ name, differs }) =>
      differs === undefined ? [] : [row(name, differs.weft?.why ?? '', differs.overlay?.why ?? '')],
    );
    expect(tableOf('differences')).toEqual(rows);
  });

  test('are differences', () => {
    for (const { name, holds, differs = {} } of behaviours) {
      for (const { sees } of Object.values(differs)) expect(sees, name).not.toEqual(holds);
    }
  });
});

test('files that the README points to', () => {
  const files = Array.from(readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, file = '']) => file);
  expect(files.filter((file) => !existsSync(join(import.meta.dirname, '../..', file)))).toEqual([]);
  expect(files.length).toBeGreaterThan(15);
});
