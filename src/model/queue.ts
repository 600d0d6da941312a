/**
 * Tasks of the same key run one after the other, in the order in which they were asked for; different keys
 * do not wait for each other. A task that fails fails for its caller only.
 */
export type Queue = <T>(key: string, task: () => Promise<T>) => Promise<T>;

export function keyedQueue(): Queue {
  /** By key, the end of the last task asked for; a key is forgotten when nothing is left to wait for. */
  const ends = new Map<string, Promise<void>>();
  return (key, task) => {
    const turn = (ends.get(key) ?? Promise.resolve()).then(task);
    const forget = () => {
      if (ends.get(key) === end) ends.delete(key);
    };
    const end: Promise<void> = turn.then(forget, forget);
    ends.set(key, end);
    return turn;
  };
}
