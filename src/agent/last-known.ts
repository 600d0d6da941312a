/**
 * What the store held when it was last heard of, on disk: with it a weft that starts while the store is away knows
 * where the others are. It may be a while behind, so nothing is taken out of the kernel because of it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Entry } from '../store/store.ts';
import { coalesce } from './coalesce.ts';
import { keepFile, readKept, syncFolder } from './kept-file.ts';

/**
 * In a large cluster it is many megabytes, of tens of thousands of entries: the more there are, the more rarely. So it
 * is read only when it is needed, and never in memory as a whole while it is written.
 */
const paceMsPerEntry = 10;
const entriesPerWrite = 1_000;

/** As text: JSON has no numbers that large. */
const revision = Type.String({ pattern: '^[0-9]+$' });
const Snapshot = Type.Object({
  revision,
  entries: Type.Array(Type.Object({ key: Type.String(), value: Type.String(), revision })),
});

export interface LastKnown {
  /** Tells the mirror, where it knows nothing. @returns whether there was anything to tell */
  recall(): boolean;
  /** Whether that is all that the mirror knows. */
  readonly isInUse: boolean;
  /** To be called now and then; returns at once. */
  keep(): void;
  /** Once more, at the end. */
  close(): Promise<void>;
}

export function lastKnownOf(of: {
  readonly stateDir: string;
  readonly mirror: Mirror;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
  readonly log: Log;
}): LastKnown {
  const { stateDir, mirror, nowMs, log } = of;
  const path = join(stateDir, 'last-known.json');
  let isRecalled = false;
  let nextMs = 0;
  let kept = -1n;

  const write = coalesce(async () => {
    if (!mirror.complete || !mirror.connected || mirror.revision === kept) return;
    kept = mirror.revision;
    const entries = Array.from(mirror.entries(''));
    nextMs = nowMs() + entries.length * paceMsPerEntry;
    try {
      await keepFile(path, rendered(entries, kept), { durable: true });
      await syncFolder(stateDir);
    } catch (error) {
      log.warn({ reason: explain(error) }, 'cannot keep what is known of the cluster');
    }
  });

  return {
    recall() {
      if (mirror.complete) return false;
      const known = readKept(path);
      if (!Compile(Snapshot).Check(known)) {
        if (existsSync(path)) log.error({ file: path }, 'cannot use what was known of the cluster');
        return false;
      }
      isRecalled = true;
      const entries = known.entries.map((entry) => ({ ...entry, revision: BigInt(entry.revision) }));
      mirror.recall(entries, BigInt(known.revision));
      return true;
    },

    get isInUse() {
      isRecalled &&= !mirror.connected;
      return isRecalled;
    },

    keep() {
      if (nowMs() >= nextMs) void write();
    },

    close: write,
  };
}

function* rendered(entries: readonly Entry[], revision: bigint): Generator<string> {
  yield `{"revision":"${revision}","entries":[`;
  for (let first = 0; first < entries.length; first += entriesPerWrite) {
    const some = entries.slice(first, first + entriesPerWrite);
    const texts = some.map((entry) => JSON.stringify({ ...entry, revision: String(entry.revision) }));
    yield `${first === 0 ? '' : ','}${texts.join(',')}`;
  }
  yield ']}';
}
