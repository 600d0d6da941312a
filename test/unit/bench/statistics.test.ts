import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { median, medianRatio, quantile, shuffled } from '../../bench/statistics.ts';

describe('the median', () => {
  test.each([
    { values: [3, 1, 2], expected: 2 },
    { values: [4, 1, 3, 2], expected: 2.5 },
    { values: [10, 9], expected: 9.5 },
    { values: [7], expected: 7 },
    { values: [undefined, 5, undefined], expected: 5 },
    { values: [], expected: undefined },
  ])('of $values is $expected', ({ values, expected }) => {
    expect(median(values)).toBe(expected);
  });

  test('has at most half of the values below it, and at most half above', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const middle = median(values) ?? Number.NaN;
        const count = (holds: (value: number) => boolean) => values.filter(holds).length;
        expect(2 * count((value) => value < middle)).toBeLessThanOrEqual(values.length);
        expect(2 * count((value) => value > middle)).toBeLessThanOrEqual(values.length);
      }),
      { examples: [[[1, 2, 3]], [[0, -1, 0]]] },
    );
  });
});

test.each([
  [[4, 1, 3, 2], 0.5, 2],
  [[4, 1, 3, 2], 0.51, 3],
  [[4, 1, 3, 2], 1, 4],
  [[4, 1, 3, 2], 0, 1],
  [[], 0.5, undefined],
])('of %j, the share %d lies at or below %j', (values, share, expected) => {
  expect(quantile(values, share)).toBe(expected);
});

describe('the ratio', () => {
  test('is that of one round, whatever the rounds were like', () => {
    expect(medianRatio([5, 50, 0.5], [10, 100, 1])).toBe(0.5);
  });

  test('leaves out rounds that lack a figure', () => {
    expect(medianRatio([1, undefined, 3], [2, 1, undefined])).toBe(0.5);
    expect(medianRatio([1], [])).toBeUndefined();
    expect(medianRatio([1], [0])).toBeUndefined();
  });
});

describe('an order by chance', () => {
  test('has the same items', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer()),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999 })),
        (items, stream) => {
          const random = () => stream.next().value ?? 0;
          expect(shuffled(items, random).toSorted()).toEqual(items.toSorted());
        },
      ),
    );
  });

  test('follows the random numbers', () => {
    const draws = [0.9, 0.5, 0];
    expect(shuffled(['a', 'b', 'c'], () => draws.shift() ?? 0)).toEqual(['c', 'b', 'a']);
  });
});
