/**
 * The candidate that a mistyped word was probably meant to be: the one fewest single-letter edits away, if
 * that is at most a third of the longer word. Undefined: none is near, and guessing would only mislead.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    const near = distance <= Math.max(word.length, candidate.length) / 3;
    if (near && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Levenshtein: letters to insert, remove or replace. One row of the matrix is kept. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, above] of row.slice(1).entries()) {
      const diagonal = (row[column] ?? 0) + (letter === to[column] ? 0 : 1);
      next.push(Math.min(diagonal, above + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
