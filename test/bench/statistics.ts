/** What is said of figures measured in rounds; pure. */

/** Of the present values; undefined where there is none. */
export function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** The least value at or below which that share of them lies; undefined where there is none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)];
}

/**
 * The median of the quotients of one round each: what slows a whole round down (others on the machine, its
 * temperature) cancels out, as it would not in the quotient of two medians. Values stand in the order of
 * their rounds; rounds that lack one of the two do not count.
 */
export function medianRatio(
  values: readonly (number | undefined)[],
  references: readonly (number | undefined)[],
): number | undefined {
  return median(
    values.map((value, round) => {
      const reference = references[round];
      return value === undefined || !reference ? undefined : value / reference;
    }),
  );
}

/** The same items in an order that `random` (from 0 to below 1) chooses, each order as likely. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(Math.floor(random() * rest.length), 1));
}
