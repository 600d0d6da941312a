import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** The argv of a process that has a `log` and runs the code. */
const logging = (code: string): string[] => [
  '--input-type=module',
  '--eval',
  `import { createLog } from '${new URL('../../src/log.ts', import.meta.url)}';
   const log = createLog();
   ${code}`,
];

test('a record is one line of JSON with a level, a time, and the causes of an error', async () => {
  const code = `log.debug('unseen'); log.error({ err: new Error('what', { cause: new Error('why') }) }, 'it failed')`;
  const { stdout } = await promisify(execFile)(process.execPath, logging(code));
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'error',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    err: expect.objectContaining({ message: 'what: why' }),
    msg: 'it failed',
  });
});

test('a reader that does not read holds nothing up', async () => {
  const code = `
    for (let lines = 0; lines < 4096; lines++) log.info('x'.repeat(1024));
    process.stderr.write('still here');
    setInterval(() => {}, 1000);`;
  const writer = spawn(process.execPath, logging(code), { stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const [said] = await once(writer.stderr, 'data');
    expect(String(said)).toBe('still here');
  } finally {
    writer.kill('SIGKILL');
  }
});
