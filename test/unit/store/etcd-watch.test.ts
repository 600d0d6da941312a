/** The watch loop over a scripted source: what it asks for after each thing that etcd can say. */
import type { IWatchCreateRequest, IWatchResponse } from 'etcd3';
import { describe, expect, test } from 'vitest';
import { EtcdFailure, type FailureKind } from '../../../src/store/etcd-failure.ts';
import { watchRange } from '../../../src/store/etcd-watch.ts';
import { prefixRange } from '../../../src/store/etcd-wire.ts';
import type { Notice } from '../../../src/store/store.ts';
import type { Census } from '../../../src/store/watch-tally.ts';
import { skippingClock } from '../../fakes/clock.ts';

/** What one stream says before it ends in a failure. */
interface Stream {
  readonly responses: readonly IWatchResponse[];
  /** `renewed`: it has lived long enough. */
  readonly failure: FailureKind | 'renewed';
}

interface Script {
  readonly streams: readonly Stream[];
  /** The store's newest revision, as each listing and each return finds it; the last one stays. */
  readonly newest?: readonly bigint[];
  /** What the store holds when it is asked for a check; undefined: that history is gone. */
  readonly census?: Census | undefined;
}

const header = (revision: bigint) => ({
  cluster_id: '1',
  member_id: '1',
  revision: String(revision),
  raft_term: '1',
});

function response(headerRevision: bigint, extra: Partial<IWatchResponse> = {}): IWatchResponse {
  return {
    header: header(headerRevision),
    watch_id: '0',
    created: false,
    canceled: false,
    compact_revision: '0',
    cancel_reason: '',
    fragment: false,
    events: [],
    ...extra,
  };
}

const created = (headerRevision: bigint) => response(headerRevision, { created: true });

function batch(headerRevision: bigint, revisions: readonly bigint[], fragment = false): IWatchResponse {
  const events = revisions.map((revision) => {
    const kv = {
      key: Buffer.from(`k${revision}`),
      value: Buffer.from('v'),
      create_revision: String(revision),
      mod_revision: String(revision),
      version: '1',
      lease: '0',
    };
    return { type: 'Put' as const, kv, prev_kv: kv };
  });
  return response(headerRevision, { events, fragment });
}

/** Plays the script to its end; answers what was told and from which revision each stream was asked for. */
async function play({
  streams,
  newest = [10n],
  census,
}: Script): Promise<{ told: Notice[]; startedAt: string[] }> {
  const abort = new AbortController();
  const startedAt: string[] = [];
  const left = [...streams];
  const revisions = [...newest];
  const next = () => (revisions.length > 1 ? revisions.shift() : revisions[0]) ?? 0n;
  let renewal = new AbortController();
  const source = {
    list: async () => ({ entries: [], revision: next() }),
    newestRevision: async () => next(),
    census: async () => census,
    renewal() {
      renewal = new AbortController();
      return renewal.signal;
    },
    async *open(request: IWatchCreateRequest) {
      startedAt.push(String(request.start_revision));
      const stream = left.shift();
      yield* stream?.responses ?? [];
      if (left.length === 0) abort.abort();
      if (stream?.failure === 'renewed') return renewal.abort();
      throw new EtcdFailure(stream?.failure ?? 'broken', 'http://etcd:2379', 'as scripted');
    },
    clock: skippingClock(),
    random: () => 0.5,
  };
  const told: Notice[] = [];
  for await (const notice of watchRange(source, prefixRange('/'), abort.signal)) told.push(notice);
  return { told, startedAt };
}

const types = (told: readonly Notice[]) => told.map((notice) => notice.type);
const keys = (told: readonly Notice[]) =>
  told
    .flatMap((notice) => (notice.type === 'events' ? notice.events : []))
    .map((event) => event.type === 'put' && event.entry.key);
const end: Stream = { responses: [], failure: 'broken' };

test('resumes after the last event told, whatever revision the headers name', async () => {
  const { startedAt } = await play({
    streams: [{ responses: [created(900n), batch(900n, [11n, 12n])], failure: 'broken' }, end],
    newest: [10n, 900n],
  });
  expect(startedAt).toEqual(['11', '13']);
});

test('a stream that was only created does not move the point to resume from', async () => {
  const { startedAt } = await play({ streams: [{ responses: [created(900n)], failure: 'broken' }, end] });
  expect(startedAt).toEqual(['11', '11']);
});

test('a progress notice does', async () => {
  const { startedAt, told } = await play({
    streams: [{ responses: [created(10n), response(50n)], failure: 'broken' }, end],
    newest: [10n, 60n],
  });
  expect(startedAt).toEqual(['11', '51']);
  expect(told).toContainEqual({ type: 'events', events: [], revision: 50n });
});

test('a batch in fragments is told as a whole', async () => {
  const { told } = await play({
    streams: [{ responses: [created(10n), batch(12n, [11n], true), batch(12n, [12n])], failure: 'broken' }],
  });
  expect(told.at(-1)).toMatchObject({ type: 'events', events: [{}, {}], revision: 12n });
});

test('a batch that broke off in the middle is asked for again', async () => {
  const { told, startedAt } = await play({
    streams: [
      { responses: [created(10n), batch(12n, [11n], true)], failure: 'broken' },
      { responses: [created(12n), batch(12n, [11n, 12n])], failure: 'broken' },
    ],
    newest: [10n, 12n],
  });
  expect(startedAt).toEqual(['11', '11']);
  expect(keys(told)).toEqual(['k11', 'k12']);
});

test('a loss is told once, and the return as soon as the stream is there', async () => {
  const { told } = await play({
    streams: [
      { responses: [created(10n)], failure: 'silent' },
      end,
      end,
      { responses: [created(10n)], failure: 'broken' },
    ],
  });
  expect(types(told)).toEqual(['snapshot', 'lost', 'events']);
  expect(told[1]).toMatchObject({ cause: { code: 'timeout' } });
  expect(told[2]).toEqual({ type: 'events', events: [], revision: 10n });
});

test('history that is gone is replaced by a snapshot, which is no loss', async () => {
  const { told, startedAt } = await play({
    streams: [{ responses: [created(10n)], failure: 'compacted' }, end],
    newest: [10n, 70n],
  });
  expect(types(told)).toEqual(['snapshot', 'snapshot']);
  expect(startedAt).toEqual(['11', '71']);
});

test('a store that is behind what it has told was restored, and is listed anew', async () => {
  const { told, startedAt } = await play({
    streams: [{ responses: [created(10n), batch(90n, [90n])], failure: 'broken' }, end],
    newest: [10n, 40n],
  });
  expect(types(told)).toEqual(['snapshot', 'events', 'lost', 'snapshot']);
  expect(startedAt).toEqual(['11', '41']);
});

describe('a stream that is renewed', () => {
  const streams: Stream[] = [{ responses: [created(10n), batch(12n, [11n, 12n])], failure: 'renewed' }, end];

  test('goes on where it was, when it told all that the store holds', async () => {
    const { told, startedAt } = await play({
      streams,
      newest: [10n, 12n],
      census: { count: 2, newest: 12n },
    });
    expect(types(told)).toEqual(['snapshot', 'events']);
    expect(startedAt).toEqual(['11', '13']);
  });

  test('goes on when the history to compare with is gone', async () => {
    const { told } = await play({ streams, newest: [10n, 12n], census: undefined });
    expect(types(told)).toEqual(['snapshot', 'events']);
  });

  test.each([
    ['a deletion', { count: 1, newest: 12n }],
    ['a new key', { count: 3, newest: 12n }],
    ['a change', { count: 2, newest: 13n }],
  ])('says so and reads everything anew, when it has missed %s', async (_, census) => {
    const { told } = await play({ streams, newest: [10n, 14n], census });
    expect(types(told)).toEqual(['snapshot', 'events', 'lost', 'snapshot']);
    expect(told[2]).toMatchObject({ cause: { code: 'internal' } });
  });
});
