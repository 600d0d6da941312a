import { expect, test } from 'vitest';
import { type Block, blockRecord } from '../../../src/model/block-record.ts';

const block: Block = {
  ...{ v: 1, cidr: '10.77.0.64/26', pool: '10.77.0.0/16', owner: 'h1', sequence: 9, freed: [4] },
  freedMs: { 4: 1_000 },
  assigned: {
    1: { host: 'h1', operation: 'a', sinceMs: 1 },
    2: { host: 'h2', operation: 'b', sinceMs: 2 },
    3: { host: 'h1', operation: 'c', sinceMs: 3, mac: '02:42:0a:4d:00:43' },
  },
  reserved: { 2: { reference: 'r', operation: 'd' } },
  spare: [62, 63],
};

test('a block is read as it was written', () => {
  expect(blockRecord.parse(readAnew(blockRecord.render(block)))).toEqual(block);
});

test('of an address of the owner only the operation and the time are written', () => {
  const { assigned, lentTo, macs } = JSON.parse(blockRecord.render(block));
  expect(assigned).toEqual({ 1: ['a', 1], 2: ['b', 2], 3: ['c', 3] });
  expect(lentTo).toEqual({ 2: 'h2' });
  expect(macs).toEqual({ 3: '02:42:0a:4d:00:43' });
});

test('where the owner has all addresses, and no MAC is known, nothing is written of that', () => {
  const { 1: own = { host: 'h1', operation: 'a', sinceMs: 1 } } = block.assigned;
  const written = JSON.parse(blockRecord.render({ ...block, assigned: { 1: own } }));
  expect(written).not.toHaveProperty('lentTo');
  expect(written).not.toHaveProperty('macs');
});

test('who has an address is the same when the block gets another owner', () => {
  const moved = { ...block, owner: 'h2' };
  expect(blockRecord.parse(readAnew(blockRecord.render(moved)))).toEqual(moved);
});

test.each([
  ['an address without the operation that wrote it', { assigned: { 1: [1] } }, '/assigned/1'],
  ['an address that is outside every block', { assigned: { 256: ['a', 1] } }, '/assigned'],
  ['an address lent to a host without a name', { lentTo: { 2: '' } }, '/lentTo/2'],
])('%s is refused by name', (_, wrong, where) => {
  const written = { ...JSON.parse(blockRecord.render(block)), ...wrong };
  expect(() => blockRecord.parse(JSON.stringify(written))).toThrow(`a block record is damaged`);
  expect(() => blockRecord.parse(JSON.stringify(written))).toThrow(where);
});

/** The same text to JSON, and another to what remembers the last one. */
function readAnew(json: string): string {
  return ` ${json}`;
}
