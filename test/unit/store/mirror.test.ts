import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Mirror, mirroring } from '../../../src/store/mirror.ts';
import type { Entry, StoreEvent, Write } from '../../../src/store/store.ts';
import { FakeStore } from '../../fakes/store.ts';

const entry = (key: string, revision: bigint, value = `${key}@${revision}`): Entry => ({
  key,
  value,
  revision,
});
const put = (key: string, revision: bigint): StoreEvent => ({ type: 'put', entry: entry(key, revision) });
const gone = (key: string, revision: bigint): StoreEvent => ({ type: 'delete', key, revision });

function held(mirror: Mirror): Record<string, bigint> {
  return Object.fromEntries([...mirror.entries('')].map(({ key, revision }) => [key, revision]));
}

function filled(entries: readonly Entry[], revision: bigint): { mirror: Mirror; changes: string[][] } {
  const changes: string[][] = [];
  const mirror = new Mirror('', (keys) => changes.push([...keys].sort()));
  mirror.apply({ type: 'snapshot', entries, revision });
  changes.length = 0;
  return { mirror, changes };
}

describe('what it knows of the store', () => {
  test('nothing, before the first snapshot', () => {
    const mirror = new Mirror('');
    expect(mirror).toMatchObject({ complete: false, connected: false, revision: 0n });
  });

  test('nothing of keys at which the watch ends, though this host commits them', () => {
    const mirror = new Mirror('a/', () => {}, 'a/m/');
    mirror.apply({ type: 'snapshot', entries: [], revision: 1n });
    const keys = ['a/l', 'a/m', 'a/m/1', 'a/n', 'b'];
    mirror.commit(
      keys.map((put) => ({ put, value: '' })),
      2n,
    );
    expect(Object.keys(held(mirror))).toEqual(['a/l', 'a/m']);
  });

  test('how often it was told everything anew', () => {
    const mirror = new Mirror('');
    mirror.recall([entry('a', 1n)], 1n);
    expect(mirror.snapshots).toBe(0);
    mirror.apply({ type: 'snapshot', entries: [], revision: 1n });
    mirror.apply({ type: 'lost', cause: new Error('cut') });
    mirror.apply({ type: 'events', events: [], revision: 2n });
    expect(mirror.snapshots).toBe(1);
    mirror.apply({ type: 'snapshot', entries: [], revision: 3n });
    expect(mirror.snapshots).toBe(2);
  });

  test('a lost store stays as it was, and counts as connected with its next word', () => {
    const { mirror, changes } = filled([entry('a', 1n)], 5n);
    expect(mirror).toMatchObject({ complete: true, connected: true, revision: 5n });
    mirror.apply({ type: 'lost', cause: new Error('cut') });
    expect(mirror).toMatchObject({ complete: true, connected: false, revision: 5n });
    mirror.apply({ type: 'lost', cause: new Error('cut') });
    mirror.apply({ type: 'events', events: [], revision: 5n });
    expect(mirror.connected).toBe(true);
    expect(changes).toEqual([[], []]);
  });
});

describe('entries', () => {
  const { mirror } = filled(
    ['net', 'net/a', 'net/b/c', 'net2/d'].map((key) => entry(key, 1n)),
    1n,
  );
  const keys = (prefix: string) => Array.from(mirror.entries(prefix), ({ key }) => key).sort();

  test.each([
    ['', ['net', 'net/a', 'net/b/c', 'net2/d']],
    ['net/', ['net/a', 'net/b/c']],
    ['net/b/', ['net/b/c']],
    ['net', ['net', 'net/a', 'net/b/c', 'net2/d']],
    ['net/b', ['net/b/c']],
    ['net/a/', []],
    ['other/', []],
  ])('below "%s"', (prefix, expected) => {
    expect(keys(prefix)).toEqual(expected);
  });
});

describe('changes', () => {
  test('name the keys that were put or deleted, and only those', () => {
    const { mirror, changes } = filled([entry('a', 1n), entry('b', 1n)], 3n);
    mirror.apply({ type: 'events', events: [put('a', 4n), gone('b', 4n), gone('never', 4n)], revision: 4n });
    mirror.apply({ type: 'events', events: [], revision: 6n });
    expect(changes).toEqual([['a', 'b']]);
  });

  test('of a new snapshot are what differs', () => {
    const { mirror, changes } = filled(
      ['same', 'changed', 'removed'].map((key) => entry(key, 1n)),
      3n,
    );
    mirror.apply({
      type: 'snapshot',
      entries: [entry('same', 1n), entry('changed', 7n), entry('added', 8n)],
      revision: 9n,
    });
    expect(changes).toEqual([['added', 'changed', 'removed']]);
    expect(held(mirror)).toEqual({ same: 1n, changed: 7n, added: 8n });
  });
});

describe('own commits', () => {
  test('are seen at once, and not told again by the watch', () => {
    const { mirror, changes } = filled([], 1n);
    mirror.commit([{ put: 'a', value: 'a@2' }], 2n);
    expect(held(mirror)).toEqual({ a: 2n });
    mirror.apply({ type: 'events', events: [put('a', 2n)], revision: 2n });
    expect(changes).toEqual([['a']]);
  });

  test('are not overwritten by older news', () => {
    const { mirror } = filled([entry('a', 1n), entry('b', 1n), entry('dir/c', 1n)], 1n);
    mirror.commit([{ put: 'a', value: 'own' }, { delete: 'b' }, { deletePrefix: 'dir/' }], 5n);
    mirror.apply({
      type: 'events',
      events: [put('a', 2n), put('b', 3n), put('dir/c', 4n), put('dir/d', 4n)],
      revision: 4n,
    });
    expect(held(mirror)).toEqual({ a: 5n });
    mirror.apply({ type: 'snapshot', entries: [entry('a', 2n), entry('b', 3n)], revision: 4n });
    expect(held(mirror)).toEqual({ a: 5n });
  });

  test('that the watch has passed say nothing new', () => {
    const { mirror } = filled([], 1n);
    mirror.apply({ type: 'events', events: [put('a', 2n), gone('a', 3n)], revision: 3n });
    mirror.commit([{ put: 'a', value: 'late' }], 2n);
    expect(held(mirror)).toEqual({});
  });

  test('a deletion does not hide what is written after it', () => {
    const { mirror } = filled([entry('a', 1n)], 1n);
    mirror.commit([{ delete: 'a' }], 3n);
    mirror.apply({ type: 'events', events: [put('a', 2n), gone('a', 3n), put('a', 4n)], revision: 4n });
    expect(held(mirror)).toEqual({ a: 4n });
  });

  test('outside the prefix are left out', () => {
    const mirror = new Mirror('net/');
    mirror.commit(
      [
        { put: 'net2/a', value: '' },
        { put: 'net/a', value: '' },
      ],
      2n,
    );
    expect(held(mirror)).toEqual({ 'net/a': 2n });
  });
});

test('a store that was restored from a backup replaces everything', () => {
  const { mirror, changes } = filled([entry('a', 90n), entry('b', 5n)], 100n);
  mirror.apply({ type: 'snapshot', entries: [entry('a', 4n), entry('b', 5n)], revision: 10n });
  expect(held(mirror)).toEqual({ a: 4n, b: 5n });
  expect(mirror.revision).toBe(10n);
  expect(changes).toHaveLength(1);
});

test('mirroring shows the commits of a store, and nothing of its conflicts', async () => {
  const mirror = new Mirror('');
  const store = mirroring(new FakeStore(), () => [mirror]);
  await store.transact({ conditions: [], writes: [{ put: 'a', value: '1' }] });
  await store.transact({ conditions: [{ key: 'a', revision: 0n }], writes: [{ put: 'b', value: '1' }] });
  expect(Object.keys(held(mirror))).toEqual(['a']);
});

/** What one transaction of the store did. */
interface Step {
  readonly write: Write;
  readonly revision: bigint;
  readonly events: StoreEvent[];
  /** All that the store held after it. */
  readonly snapshot: readonly Entry[];
}

const key = fc.constantFrom('a', 'b', 'dir/a', 'dir/b', 'dir2/a');
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ put: key, value: fc.constantFrom('x', 'y') }),
  fc.record({ delete: key }),
  fc.record({ deletePrefix: fc.constantFrom('dir/', 'dir') }),
);
const writes = fc.array(fc.record({ write, own: fc.boolean() }), { maxLength: 30 });

test('at any moment it holds what the watch told, and above that what this host has written since', async () => {
  await fc.assert(
    fc.asyncProperty(writes, fc.infiniteStream(fc.nat(99)), async (made, choices) => {
      const choose = (of: number) => (choices.next().value ?? 0) % of;
      const store = new FakeStore();
      const first: Step = { write: { delete: '' }, revision: store.revision, events: [], snapshot: [] };
      const steps: Step[] = [];
      const unanswered: Step[] = [];
      for (const { write: one, own } of made) {
        const step = await stepOf(store, one, steps.at(-1) ?? first);
        steps.push(step);
        if (own) unanswered.push(step);
      }

      const mirror = new Mirror('');
      mirror.apply({ type: 'snapshot', entries: first.snapshot, revision: first.revision });
      let told = first;
      const answered: Step[] = [];
      while (steps.length > 0 || unanswered.length > 0) {
        // An answer comes at any time and in any order; the watch goes in order, or begins anew further on.
        if (steps.length === 0 || (unanswered.length > 0 && choose(2) === 0)) {
          for (const step of unanswered.splice(choose(unanswered.length), 1)) {
            answered.push(step);
            mirror.commit([step.write], step.revision);
          }
        } else {
          const [next = first, ...skipped] = steps.splice(0, choose(4) === 0 ? choose(steps.length) + 1 : 1);
          told = skipped.at(-1) ?? next;
          if (skipped.length > 0) {
            mirror.apply({ type: 'snapshot', entries: told.snapshot, revision: told.revision });
          } else {
            mirror.apply({ type: 'events', events: told.events, revision: told.revision });
          }
        }
        expect(held(mirror)).toEqual(expected(told, answered));
      }
    }),
    { numRuns: 2_000 },
  );
});

async function stepOf(store: FakeStore, one: Write, before: Step): Promise<Step> {
  store.writeElsewhere([one]);
  const { entries: snapshot, revision } = await store.list('');
  if (revision === before.revision) return { ...before, write: one, events: [] };
  const kept = new Set(snapshot.map((entry) => entry.key));
  const puts = snapshot.filter((entry) => entry.revision === revision);
  const deleted = before.snapshot.filter((entry) => !kept.has(entry.key));
  const events = [
    ...puts.map((entry) => put(entry.key, revision)),
    ...deleted.map((entry) => gone(entry.key, revision)),
  ];
  return { write: one, revision, events, snapshot };
}

function expected(told: Step, answered: readonly Step[]): Record<string, bigint> {
  const revisions = new Map(told.snapshot.map((entry) => [entry.key, entry.revision]));
  const since = answered.filter((step) => step.revision > told.revision);
  for (const { write: one, revision } of since.sort((a, b) => Number(a.revision - b.revision))) {
    if ('put' in one) revisions.set(one.put, revision);
    else for (const name of [...revisions.keys()]) if (deletes(one, name)) revisions.delete(name);
  }
  return Object.fromEntries(revisions);
}

function deletes(one: Exclude<Write, { put: string }>, name: string): boolean {
  return 'delete' in one ? name === one.delete : name.startsWith(one.deletePrefix);
}
