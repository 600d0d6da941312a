import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Ledger, openLedger } from '../../../src/agent/ledger.ts';

/** Empty, on a disk that goes with the test. */
export function testLedger(): Ledger {
  const folder = mkdtempSync(join(tmpdir(), 'weft-ledger-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return openLedger(folder, () => {});
}
