import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LastKnown, lastKnownOf } from '../../../src/agent/last-known.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import type { Entry } from '../../../src/store/store.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'weft-last-known-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

function start(): { readonly mirror: Mirror; readonly lastKnown: LastKnown } {
  const mirror = new Mirror('');
  const log = pino({ level: 'silent' });
  return { mirror, lastKnown: lastKnownOf({ stateDir, mirror, nowMs: () => 0, log }) };
}

const entries = (count: number): Entry[] =>
  Array.from({ length: count }, (_, n) => ({ key: `a/${n}`, value: `"${n}"\n`, revision: BigInt(n + 1) }));
const held = (mirror: Mirror) => Array.from(mirror.entries(''));

test.each([0, 1, 2_500])(
  '%i entries are known again after a restart, until the store answers',
  async (count) => {
    const before = start();
    before.mirror.apply({ type: 'snapshot', entries: entries(count), revision: 1n << 60n });
    await before.lastKnown.close();

    const { mirror, lastKnown } = start();
    expect(lastKnown.recall()).toBe(true);
    expect(held(mirror)).toEqual(entries(count));
    expect(mirror).toMatchObject({ revision: 1n << 60n, connected: false });
    expect(lastKnown.isInUse).toBe(true);
    mirror.apply({ type: 'snapshot', entries: [], revision: (1n << 60n) + 1n });
    expect(lastKnown.isInUse).toBe(false);
  },
);

test('what is told while it is being written is written too, at the end', async () => {
  const before = start();
  before.mirror.apply({ type: 'snapshot', entries: entries(1_500), revision: 2_000n });
  before.lastKnown.keep();
  before.mirror.apply({
    type: 'events',
    events: [{ type: 'delete', key: 'a/0', revision: 2_001n }],
    revision: 2_001n,
  });
  await before.lastKnown.close();

  const { mirror, lastKnown } = start();
  lastKnown.recall();
  expect(held(mirror)).toHaveLength(1_499);
});

test.each(['', '{"revision":"1","ent', '{"revision":1,"entries":[]}'])(
  'nothing is known from a damaged file (%j)',
  (text) => {
    writeFileSync(join(stateDir, 'last-known.json'), text);
    const { mirror, lastKnown } = start();
    expect(lastKnown.recall()).toBe(false);
    expect(mirror.complete).toBe(false);
  },
);
