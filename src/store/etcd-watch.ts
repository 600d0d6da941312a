/**
 * Follows a range of etcd's keys and loses nothing, whatever happens to the connection: lists it at one revision,
 * then watches from the next. The point to resume from moves only with what was told to the consumer, never
 * with the revision in the header of a response: that is the store's newest, and a batch of a thousand events
 * on the way there may still be behind it.
 */
import type { IWatchCreateRequest, IWatchResponse } from 'etcd3';
import { WeftError } from '../errors.ts';
import { backOff } from './back-off.ts';
import type { Clock } from './clock.ts';
import { EtcdFailure } from './etcd-failure.ts';
import { eventOf, type KeyRange } from './etcd-wire.ts';
import type { Entry, Notice, StoreEvent } from './store.ts';
import { type Census, WatchTally } from './watch-tally.ts';

export interface WatchSource {
  /** All keys in the range at one revision, linearizable. */
  list(range: KeyRange): Promise<{ entries: readonly Entry[]; revision: bigint }>;
  /** Of the whole store, linearizable; asks only for what a user limited to the range may read. */
  newestRevision(range: KeyRange): Promise<bigint>;
  /** Of the keys in the range at that revision; undefined when its history is gone. */
  census(range: KeyRange, revision: bigint): Promise<Census | undefined>;
  open(request: IWatchCreateRequest, signal: AbortSignal): AsyncIterable<IWatchResponse>;
  /** Aborts when a stream has lived long enough: it is then opened anew, and what it told is checked. */
  renewal(): AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
}

/** As `Store.watch`. */
export async function* watchRange(
  source: WatchSource,
  range: KeyRange,
  signal: AbortSignal,
): AsyncGenerator<Notice> {
  const pause = backOff(50, 2_000, source.random);
  const tally = new WatchTally();
  let next: bigint | undefined;
  let lost = false;

  while (!signal.aborted) {
    try {
      // Older than what we have seen: the store was restored from a backup, and would stay silent until it
      // had caught up with us.
      if (next !== undefined && (await source.newestRevision(range)) < next - 1n) next = undefined;
      if (next === undefined) {
        const { entries, revision } = await source.list(range);
        if (signal.aborted) return;
        next = revision + 1n;
        lost = false;
        tally.snapshot(entries);
        yield { type: 'snapshot', entries, revision };
      }
      const renewal = source.renewal();
      for await (const message of messages(source, range, next, AbortSignal.any([signal, renewal]))) {
        pause.reset();
        if (message === 'created') {
          if (lost) yield { type: 'events', events: [], revision: next - 1n };
          lost = false;
        } else {
          next = message.revision + 1n;
          tally.events(message.events);
          yield message;
        }
      }
      if (renewal.aborted && !signal.aborted) {
        const census = await source.census(range, next - 1n);
        if (census !== undefined && !tally.agrees(census)) {
          lost = true;
          next = undefined;
          yield { type: 'lost', cause: new WeftError('internal', missed(range)) };
        }
      }
    } catch (error) {
      if (!(error instanceof EtcdFailure)) throw error;
      if (signal.aborted) return;
      if (error.kind === 'compacted') {
        next = undefined;
        continue;
      }
      if (!lost) yield { type: 'lost', cause: error };
      lost = true;
      await source.clock.sleep(pause.next(), signal);
    }
  }
}

function missed({ key }: KeyRange): string {
  return `the watch of ${key} has missed changes of the store, so everything is read anew; please report this`;
}

/** One stream, from `created` until it fails, or is aborted. */
async function* messages(source: WatchSource, range: KeyRange, start: bigint, signal: AbortSignal) {
  const request = {
    ...range,
    start_revision: String(start),
    progress_notify: true,
    fragment: true,
  };
  let held: StoreEvent[] = [];
  for await (const response of source.open(request, signal)) {
    if (response.created) {
      yield 'created' as const;
      continue;
    }
    held.push(...response.events.map(eventOf));
    if (response.fragment) continue;
    const last = held.at(-1);
    // No events: a progress notice, which says that everything up to its revision has been sent.
    const revision = last === undefined ? BigInt(response.header.revision) : revisionOf(last);
    yield { type: 'events' as const, events: held, revision };
    held = [];
  }
}

function revisionOf(event: StoreEvent): bigint {
  return event.type === 'put' ? event.entry.revision : event.revision;
}
