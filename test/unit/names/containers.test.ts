/** Which containers are answered, and from which networks. */
import { decode, encode } from 'dns-packet';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Member } from '../../../src/agent/name-book.ts';
import { WeftError } from '../../../src/errors.ts';
import { TableOwnershipMissing } from '../../../src/kernel/docker-resolver.ts';
import { answerContainers, type ContainerNames } from '../../../src/names/containers.ts';
import { type FakeResolverPlace, fakeResolverPlace } from '../../fakes/resolver-place.ts';

let wanted: Map<string, readonly string[]>;
let members: Map<string, Member[]>;
/** Those that have a namespace, as often as they were taken. */
let places: Map<string, FakeResolverPlace[]>;
let refused: boolean;
let refusal: WeftError;
/** What was logged. */
let lines: string[];
/** Each time that a place was to be taken: for whom. */
let tries: string[];
let stopping: AbortController;
let changed: (network: string) => void;
let ended: (sandbox: string) => void;
let names: ContainerNames;

beforeEach(() => {
  vi.useFakeTimers();
  wanted = new Map();
  members = new Map([
    ['blue', [{ names: ['web'], domain: 'blue', addresses: ['10.77.0.2'] }]],
    ['red', [{ names: ['web', 'db'], domain: 'red', addresses: ['10.78.0.2'] }]],
  ]);
  places = new Map();
  refused = false;
  stopping = new AbortController();
  refusal = new WeftError('kernel', 'told to fail');
  lines = [];
  tries = [];
  begin();
});

function begin(): void {
  names = answerContainers({
    nameBook: {
      members: (network) => members.get(network) ?? [],
      onChange: (listener) => {
        changed = listener;
      },
      onEnd: (listener) => {
        ended = listener;
      },
      sandboxes: () => new Map(wanted),
    },
    async takePlace(sandbox) {
      tries.push(sandbox);
      if (refused) throw refusal;
      const taken = places.get(sandbox);
      if (taken === undefined) return undefined;
      const place = fakeResolverPlace();
      taken.push(place);
      return place;
    },
    random: () => 0,
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line).msg) }),
    signal: stopping.signal,
  });
}

afterEach(() => {
  stopping.abort();
  vi.useRealTimers();
});

/** Docker has made the container's namespace. */
function appears(sandbox: string): void {
  places.set(sandbox, []);
}

async function joins(sandbox: string, networks: readonly string[]): Promise<void> {
  wanted.set(sandbox, networks);
  names.look();
  await vi.advanceTimersByTimeAsync(0);
}

const placesOf = (sandbox: string) => places.get(sandbox) ?? [];
const isAnswered = (sandbox: string) => placesOf(sandbox).some(({ closed }) => !closed.aborted);

function ask(sandbox: string, name: string): unknown[] {
  const place = placesOf(sandbox).find(({ closed }) => !closed.aborted);
  const sent = vi.fn();
  if (place !== undefined) place.datagrams.send = sent;
  const query = encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] });
  place?.datagrams.emit('message', query, { address: '127.0.0.1', port: 1 });
  const [bytes] = sent.mock.calls[0] ?? [];
  return decode(bytes).answers?.map((answer) => 'data' in answer && answer.data) ?? [];
}

test('a container is answered as soon as it has a namespace', async () => {
  await joins('one', ['blue']);
  await vi.advanceTimersByTimeAsync(100);
  expect(isAnswered('one')).toBe(false);
  appears('one');
  await vi.advanceTimersByTimeAsync(5);
  expect(isAnswered('one')).toBe(true);
  expect(ask('one', 'web')).toEqual(['10.77.0.2']);
});

test('a namespace that takes minutes is still found', async () => {
  await joins('one', ['blue']);
  await vi.advanceTimersByTimeAsync(300_000);
  appears('one');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(isAnswered('one')).toBe(true);
});

test('it is answered from the networks that it is on now, and what is there now', async () => {
  appears('one');
  await joins('one', ['blue']);
  await joins('one', ['red', 'blue']);
  expect(ask('one', 'web')).toEqual(['10.78.0.2']);
  expect(ask('one', 'db')).toEqual(['10.78.0.2']);
  members.set('red', [{ names: ['db'], domain: 'red', addresses: ['10.78.0.9'] }]);
  changed('red');
  expect(ask('one', 'db')).toEqual(['10.78.0.9']);
  expect(ask('one', 'web')).toEqual(['10.77.0.2']);
  expect(placesOf('one')).toHaveLength(1);
});

test('a container that has left is no longer answered, and the others are', async () => {
  for (const sandbox of ['one', 'two']) {
    appears(sandbox);
    await joins(sandbox, ['blue']);
  }
  wanted.delete('one');
  names.look();
  await vi.advanceTimersByTimeAsync(0);
  expect(isAnswered('one')).toBe(false);
  expect(isAnswered('two')).toBe(true);
});

test('a container that ended without a word is let go of', async () => {
  appears('one');
  await joins('one', ['blue']);
  const [place] = placesOf('one');
  place?.end();
  places.delete('one');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(place?.closed.aborted).toBe(true);
});

test('a container that has ended is let go of as soon as that is known', async () => {
  for (const sandbox of ['one', 'two']) {
    appears(sandbox);
    await joins(sandbox, ['blue']);
  }
  ended('one');
  expect(isAnswered('one')).toBe(false);
  expect(isAnswered('two')).toBe(true);
});

test('what fails is tried again', async () => {
  appears('one');
  refused = true;
  await joins('one', ['blue']);
  expect(isAnswered('one')).toBe(false);
  refused = false;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(isAnswered('one')).toBe(true);
});

test('what fails again and again is logged once', async () => {
  appears('one');
  refused = true;
  await joins('one', ['blue']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tries.length).toBeGreaterThan(10);
  expect(lines).toEqual(['a container is not told names of other hosts yet']);
});

test('what the kernel cannot do is said once for the host, and not tried again', async () => {
  for (const sandbox of ['one', 'two']) appears(sandbox);
  refused = true;
  refusal = new TableOwnershipMissing();
  for (const sandbox of ['one', 'two']) await joins(sandbox, ['blue']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tries).toEqual(['one']);
  expect(lines).toEqual([expect.stringContaining('Linux 5.12')]);
});

test('containers from before weft started are in no hurry', async () => {
  stopping = new AbortController();
  wanted.set('old', ['blue']);
  begin();
  await vi.advanceTimersByTimeAsync(4_000);
  expect(tries).toEqual(['old']);
  appears('old');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(isAnswered('old')).toBe(true);
});

test('with weft, it ends for all', async () => {
  appears('one');
  await joins('one', ['blue']);
  stopping.abort();
  expect(isAnswered('one')).toBe(false);
});
