import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assign, free, newBlock, nextFree, type Window } from '../../../src/ipam/block.ts';
import { type Block, holderOf } from '../../../src/model/block-record.ts';

const empty = newBlock({ pool: '10.77.0.0/16', cidr: '10.77.0.0/26', owner: 'h1' });
const everything: Window = { first: 0, last: 63, except: new Set() };
const by = (host: string) => ({ host, operation: 'op', sinceMs: 0 });

const assigned = (...offsets: number[]) =>
  offsets.reduce((block, offset) => assign(block, offset, by('h1')), empty);
const freed = (block: Block, ...offsets: number[]) =>
  offsets.reduce((before, offset, index) => free(before, offset, index + 1), block);

describe('the next address', () => {
  it.each<[string, Block, Window, number | undefined]>([
    ['is the first one of an empty block', empty, everything, 0],
    ['is the lowest one never used', assigned(0, 1, 5), everything, 2],
    ['is a never used one before one given back', freed(assigned(0, 1), 0), everything, 2],
    ['is inside the window', assigned(0), { first: 16, last: 31, except: new Set() }, 16],
    ['is not one that is kept back', assigned(0), { first: 0, last: 63, except: new Set([1, 2]) }, 3],
    [
      'does not exist when the window is full',
      assigned(4, 5),
      { first: 4, last: 5, except: new Set() },
      undefined,
    ],
    ['does not exist when the window is empty', empty, { first: 1, last: 0, except: new Set() }, undefined],
  ])('%s', (_, block, window, expected) => {
    expect(nextFree(block, window)).toBe(expected);
  });

  const four: Window = { first: 0, last: 3, except: new Set() };

  it('is the one that has been free longest, when all were used', () => {
    const block = freed(assigned(0, 1, 2, 3), 2, 0, 3);
    expect(nextFree(block, four)).toBe(2);
    expect(nextFree(block, { ...four, except: new Set([2]) })).toBe(0);
    expect(nextFree(block, { ...four, first: 3 })).toBe(3);
  });

  it('is none that has not rested', () => {
    const block = freed(assigned(0, 1, 2, 3), 2, 0, 3);
    expect(nextFree(block, four, (freedMs) => freedMs < 3)).toBe(2);
    expect(nextFree({ ...block, freed: [3, 0, 2] }, four, (freedMs) => freedMs < 3)).toBe(0);
    expect(nextFree(block, four, () => false)).toBeUndefined();
  });

  it('may be one of which nobody knows since when it is free', () => {
    const { freedMs: _, ...old } = freed(assigned(0, 1, 2, 3), 2, 0);
    const block = free(old, 1, 70);
    expect(nextFree(block, { ...four, except: new Set([2, 0]) }, (freedMs) => freedMs < 10)).toBeUndefined();
    expect(nextFree(block, four, (freedMs) => freedMs < 10)).toBe(2);
  });

  it('goes to the end of the queue when it is given back again', () => {
    const once = freed(assigned(0, 1, 2, 3), 1, 2);
    const again = free(assign(once, 1, by('h1')), 1, 9);
    expect(nextFree(again, four)).toBe(2);
  });
});

describe('assigning', () => {
  it('counts the writes', () => {
    expect(empty.sequence).toBe(0);
    expect(freed(assigned(1, 2), 1).sequence).toBe(3);
  });

  it('remembers the holder', () => {
    expect(holderOf(assign(empty, 7, by('h2')), 7)).toEqual(by('h2'));
    expect(holderOf(empty, 7)).toBeUndefined();
  });

  it('again for the same host replaces the operation', () => {
    const again = assign(assigned(7), 7, { host: 'h1', operation: 'second', sinceMs: 5 });
    expect(holderOf(again, 7)).toEqual({ host: 'h1', operation: 'second', sinceMs: 5 });
  });

  it('never takes an address from another host', () => {
    expect(() => assign(assigned(7), 7, by('h2'))).toThrow(
      'offset 7 of block 10.77.0.0/26 is held by host h1',
    );
  });

  it('leaves the block it was given as it was', () => {
    const before = structuredClone(empty);
    assign(empty, 0, by('h1'));
    expect(empty).toEqual(before);
  });
});

it('freeing what is free changes nothing', () => {
  expect(free(empty, 3, 1)).toBe(empty);
});

it('after any operations every address is in one state, and all can be had', () => {
  const step = fc.record({ offset: fc.nat({ max: 63 }), give: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let block = empty;
      for (const { offset, give } of steps) {
        block = give ? assign(block, offset, by('h1')) : free(block, offset, 1);
        const used = new Set(Object.keys(block.assigned).map(Number));
        expect(block.freed.filter((other) => used.has(other))).toEqual([]);
        expect(new Set(block.freed).size).toBe(block.freed.length);
        expect(Object.keys(block.freedMs ?? {}).map(Number)).toEqual([...block.freed].sort((a, b) => a - b));
      }
      const handedOut = new Set<number>();
      for (let next = nextFree(block, everything); next !== undefined; next = nextFree(block, everything)) {
        handedOut.add(next);
        block = assign(block, next, by('h1'));
      }
      expect(Object.keys(block.assigned)).toHaveLength(64);
      expect(block.freed).toEqual([]);
    }),
  );
});
