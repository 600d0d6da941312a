/** What a container is answered that asks for a name, from the networks that it is on. */
import { type Data, type Query, readQuery, renderAnswer } from './message.ts';
import type { RecordType, Zone } from './zone.ts';

const recordTypes: readonly RecordType[] = ['A', 'AAAA', 'PTR'];

/**
 * @param zones in the order in which they are asked; the first that knows the name answers, as with Docker's own
 * @param random a number in [0, 1), anew for each call
 * @returns undefined when it is not for weft to answer
 */
export function answerTo(
  bytes: Buffer,
  zones: readonly Zone[],
  over: 'udp' | 'tcp',
  random: () => number,
): Buffer | undefined {
  const query = readQuery(bytes);
  const data = query && find(query, zones);
  return query && data && renderAnswer(query, rotated(data, random), over);
}

function find({ question }: Query, zones: readonly Zone[]): Data[] | undefined {
  const type = recordTypes.find((known) => known === question.type);
  for (const zone of zones) {
    if (!zone.has(question.name)) continue;
    return type === undefined ? [] : zone.find(question.name, type).map((data) => ({ type, data }));
  }
  return undefined;
}

/** Many take the first and no other: so each comes first in turn. */
function rotated<T>(items: readonly T[], random: () => number): T[] {
  const first = Math.floor(random() * items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}
