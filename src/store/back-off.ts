/** How long to wait before trying again: doubling from `firstMs` to `lastMs`, each spread over its upper half. */
export interface BackOff {
  next(): number;
  /** Begins again at `firstMs`, after a success. */
  reset(): void;
}

/** @param random a number in [0, 1); hosts that failed together must not come back together. */
export function backOff(firstMs: number, lastMs: number, random: () => number): BackOff {
  let ceilingMs = firstMs;
  return {
    next() {
      const waitMs = ceilingMs * (0.5 + random() / 2);
      ceilingMs = Math.min(ceilingMs * 2, lastMs);
      return waitMs;
    },
    reset() {
      ceilingMs = firstMs;
    },
  };
}
