import { describe, expect, test } from 'vitest';
import {
  type Block,
  claimOf,
  holderOf,
  hostOf,
  offsetsIn,
  withHolder,
  withOwner,
} from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';

const block: Block = {
  ...{ v: 1, cidr: '10.77.0.64/26', pool: '10.77.0.0/16', owner: 'h1', sequence: 9, freed: [4] },
  freedMs: { 4: 1_000 },
  assigned: { 1: 'a 1', 2: 'b 2', 3: 'c 3' },
  lentTo: { 2: 'h2' },
  macs: { 3: '02:42:0a:4d:00:43' },
  reserved: { 2: { reference: 'r', operation: 'd' } },
  spare: [62, 63],
};

const hosts = (of: Block) => offsetsIn(of).map((offset) => hostOf(of, offset));

describe('an address in use', () => {
  test('is the owner’s, if it is not lent', () => {
    expect(hosts(block)).toEqual(['h1', 'h2', 'h1']);
    expect(offsetsIn(block, 'h1')).toEqual([1, 3]);
    expect(hostOf(block, 9)).toBeUndefined();
    expect(holderOf(block, 9)).toBeUndefined();
  });

  test.each([
    { host: 'h1', operation: 'x', sinceMs: 7 },
    { host: 'h2', operation: 'x', sinceMs: 7 },
    { host: 'h2', operation: 'x', sinceMs: 7, mac: '02:42:0a:4d:00:49' },
  ])('has the holder that it was given: %o', (holder) => {
    const given = withHolder(block, 9, holder);
    expect(holderOf(given, 9)).toEqual(holder);
    expect(hosts(given)).toEqual(['h1', 'h2', 'h1', holder.host]);
    expect(withHolder(given, 9, undefined)).toEqual(block);
  });

  test('leaves nothing behind when it is free', () => {
    const none = offsetsIn(block).reduce((left, offset) => withHolder(left, offset, undefined), block);
    expect(none.assigned).toEqual({});
    expect(none).not.toHaveProperty('lentTo');
    expect(none).not.toHaveProperty('macs');
  });
});

test('who has an address is the same when the block gets another owner, and is told', () => {
  const moved = withOwner(block, 'h2');
  expect(hosts(moved)).toEqual(hosts(block));
  expect(claimOf(moved)).toMatchObject({ owner: 'h2', lentTo: { 1: 'h1', 3: 'h1' } });
  expect(withOwner(moved, 'h1')).toEqual(block);
});

test.each([
  ['an address without the operation that wrote it', { assigned: { 1: '1' } }, '/assigned/1'],
  ['an address that is outside every block', { assigned: { 256: 'a 1' } }, '/assigned'],
  ['an address lent to a host without a name', { lentTo: { 2: '' } }, '/lentTo/2'],
])('%s is refused by name', (_, wrong, where) => {
  const written = JSON.stringify({ ...block, ...wrong });
  expect(() => records.block.parse(written)).toThrow(`a block record is damaged`);
  expect(() => records.block.parse(written)).toThrow(where);
});
