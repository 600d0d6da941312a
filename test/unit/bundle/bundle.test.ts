import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { bundle } from '../../../plugin/bundle.ts';

test('the bundle runs where it is moved, without node_modules', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-bundle-'));
  try {
    await bundle(join(import.meta.dirname, 'entry.ts'), join(folder, 'dist'));
    await rename(join(folder, 'dist'), join(folder, 'moved'));
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'moved/weft.js')], {
      cwd: '/',
    });
    expect(JSON.parse(stdout)).toMatchObject({ msg: 'bundled', machineCode: true });
  } finally {
    await rm(folder, { recursive: true });
  }
});
