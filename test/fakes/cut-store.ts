/** One host's way to a store that others go on using: it can be cut, as by a broken network. */
import { WeftError } from '../../src/errors.ts';
import type { Notice, Store, Transaction } from '../../src/store/store.ts';

export interface CutStore extends Store {
  cut(): void;
  mend(): void;
  /** From now on transactions are under way, and not answered. */
  delay(): void;
  /** They arrive after all, be it cut by now. */
  deliver(): Promise<void>;
}

export function cuttable(store: Store): CutStore {
  let isCut = false;
  let underWay: Transaction[] | undefined;
  const turned = new Set<() => void>();
  const turn = (to: boolean) => {
    isCut = to;
    for (const listener of turned) listener();
    turned.clear();
  };
  const away = () => new WeftError('unavailable', 'the store (cut off) cannot be reached');
  const call = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (isCut) throw away();
    const answer = await ask();
    if (isCut) throw away();
    return answer;
  };

  return {
    get: (key) => call(() => store.get(key)),
    list: (prefix) => call(() => store.list(prefix)),
    grantLease: (ttlSeconds) => call(() => store.grantLease(ttlSeconds)),
    renewLease: (lease) => call(() => store.renewLease(lease)),
    close: () => store.close(),

    async transact(transaction) {
      if (isCut) throw away();
      if (underWay !== undefined) {
        underWay.push(transaction);
        return { outcome: 'unknown', cause: away() };
      }
      const outcome = await store.transact(transaction);
      return isCut ? { outcome: 'unknown', cause: away() } : outcome;
    },

    async *watch(prefix, signal, before): AsyncGenerator<Notice> {
      while (!signal.aborted) {
        const ended = new AbortController();
        const end = () => ended.abort();
        signal.addEventListener('abort', end, { once: true });
        turned.add(end);
        if (isCut) {
          yield { type: 'lost', cause: away() };
          if (!ended.signal.aborted)
            await new Promise((resolve) => ended.signal.addEventListener('abort', resolve));
        } else {
          for await (const notice of store.watch(prefix, ended.signal, before)) {
            if (isCut) break;
            yield notice;
          }
        }
        turned.delete(end);
      }
    },

    cut: () => turn(true),
    mend: () => turn(false),
    delay() {
      underWay = [];
    },
    async deliver() {
      for (const transaction of underWay ?? []) await store.transact(transaction);
      underWay = undefined;
    },
  };
}
