/** When Docker is asked what containers are called, and what of that is told. */
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WeftError } from '../../../src/errors.ts';
import { nameContainers } from '../../../src/observe/container-names.ts';
import type { DockerEvent } from '../../../src/observe/docker.ts';
import type { DockerContainer } from '../../../src/observe/docker-container.ts';
import { followDocker } from '../../../src/observe/follow.ts';
import type { Clock } from '../../../src/store/clock.ts';

const clock: Clock = {
  now: Date.now,
  sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
};

/** Containers that Docker has, by id. */
let containers: Map<string, DockerContainer>;
let failures: number;
/** Containers about which Docker answers nothing until the promise does. */
let held: Map<string, Promise<void>>;
let asked: string[];
/** What hosts were told, by endpoint. */
let told: Map<string, string>;
let connections: ReadableStreamDefaultController<DockerEvent>[];
let forget: () => void;
let stopping: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  containers = new Map();
  failures = 0;
  held = new Map();
  asked = [];
  told = new Map();
  connections = [];
  stopping = new AbortController();
});

afterEach(() => {
  stopping.abort();
  vi.useRealTimers();
});

async function begin(): Promise<void> {
  const observing = {
    clock,
    random: () => 0.5,
    log: pino({ level: 'silent' }),
    signal: stopping.signal,
  };
  const naming = nameContainers({
    ...observing,
    docker: {
      containers: async () => [...containers.keys()],
      async container(id) {
        asked.push(id);
        await held.get(id);
        if (failures-- > 0) throw new WeftError('timeout', 'told to fail');
        const container = containers.get(id);
        if (container === undefined) throw new WeftError('not-found', 'no such container');
        return container;
      },
    },
    nameBook: {
      hasEndpoint: (id) => id.startsWith('weft'),
      onForgotten: (listener) => {
        forget = listener;
      },
      async write(endpoint, names, domain) {
        told.set(endpoint, `${names.join(' ')} in ${domain}`);
      },
    },
  });
  const events = async () =>
    new ReadableStream<DockerEvent>({ start: (controller) => void connections.push(controller) });
  void followDocker({ ...observing, docker: { events }, listeners: [naming] });
  await vi.advanceTimersByTimeAsync(0);
}

async function happens(event: DockerEvent): Promise<void> {
  connections.at(-1)?.enqueue(event);
  await vi.advanceTimersByTimeAsync(0);
}

function has(id: string, ...names: string[]): void {
  containers.set(id, {
    endpoints: [
      { endpoint: `weft-${id}`, network: 'blue', names },
      { endpoint: `other-${id}`, network: 'bridge', names },
    ],
  });
}

test('of all containers that run when weft starts, only their places on networks of weft', async () => {
  has('1', 'web', 'www');
  has('2', 'db');
  await begin();
  expect(Object.fromEntries(told)).toEqual({ 'weft-1': 'web www in blue', 'weft-2': 'db in blue' });
});

test.each([
  ['starts', { type: 'container', action: 'start', id: '1' }],
  ['gets another name', { type: 'container', action: 'rename', id: '1' }],
  ['joins a network', { type: 'network', action: 'connect', id: 'blue', container: '1' }],
])('of a container that %s', async (_, event) => {
  await begin();
  has('1', 'web');
  await happens(event);
  expect(told.get('weft-1')).toBe('web in blue');
});

test.each([
  ['ends', { type: 'container', action: 'die', id: '1' }],
  ['leaves a network', { type: 'network', action: 'disconnect', id: 'blue', container: '1' }],
])('Docker is not asked when one %s', async (_, event) => {
  await begin();
  await happens(event);
  expect(asked).toEqual([]);
});

test('one for which Docker takes its time holds up no other, and is looked at again if it changes', async () => {
  await begin();
  const { promise, resolve } = Promise.withResolvers<void>();
  held.set('1', promise);
  for (const id of ['1', '2', '3', '4', '5', '6']) {
    has(id, `web${id}`);
    await happens({ type: 'container', action: 'start', id });
  }
  expect([...told.keys()]).toEqual(['weft-2', 'weft-3', 'weft-4', 'weft-5', 'weft-6']);
  await happens({ type: 'container', action: 'rename', id: '1' });
  expect(asked.filter((id) => id === '1')).toHaveLength(1);
  resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.filter((id) => id === '1')).toHaveLength(2);
  expect(told.get('weft-1')).toBe('web1 in blue');
});

test('one that is gone by then is nobody', async () => {
  await begin();
  await happens({ type: 'container', action: 'start', id: '1' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toEqual(['1']);
});

test('what fails is tried again', async () => {
  await begin();
  has('1', 'web');
  failures = 2;
  await happens({ type: 'container', action: 'start', id: '1' });
  expect(told.size).toBe(0);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told.get('weft-1')).toBe('web in blue');
});

test('what the store has lost is told again', async () => {
  has('1', 'web');
  await begin();
  told.clear();
  forget();
  await vi.advanceTimersByTimeAsync(0);
  expect(told.get('weft-1')).toBe('web in blue');
});

test('what happened while Docker was away is made up for', async () => {
  await begin();
  connections[0]?.close();
  has('1', 'web');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(told.get('weft-1')).toBe('web in blue');
});
