/**
 * One call of Docker's, from understood to answered: in its turn, and within its time. Docker itself waits
 * for ever (after a daemon restart its client has no time-out), may repeat a call while the first still
 * runs, and, told of a failure, believes that nothing was made and never asks to remove it.
 */
import { WeftError } from '../errors.ts';
import { keyedQueue } from '../model/queue.ts';

/** What a call is about, by Docker's IDs: named in the log and to the user. */
export interface Subject {
  readonly network?: string;
  readonly endpoint?: string;
  /** PoolID, or the CIDR asked for. */
  readonly pool?: string;
  readonly address?: string;
}

export type Answer = Readonly<Record<string, unknown>>;

export type Call = { readonly subject: Subject } & (
  | { readonly run: () => Promise<Answer> }
  /** Makes something that Docker removes only if it was told of it. When it is too late for that, weft does. */
  | { readonly make: () => Promise<{ readonly answer: Answer; readonly takeBack: () => Promise<void> }> }
);

export interface PerformOptions {
  readonly deadlineMs: number;
  /** Hears how a call ended that had outlived its deadline. */
  readonly onLate: (method: string, call: Call, failure?: unknown) => void;
}

/**
 * Calls about one endpoint, pool or network run one after the other; all others side by side.
 * @throws WeftError `timeout` when it takes longer; the work goes on, and the next about that object waits.
 */
export function performer({ deadlineMs, onLate }: PerformOptions) {
  const inTurn = keyedQueue();
  return async (method: string, call: Call): Promise<Answer> => {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(tooLate(method, call.subject, deadlineMs)), deadlineMs);
    const task = () => carryOut(call, deadline.signal);
    const key = call.subject.endpoint ?? call.subject.pool ?? call.subject.network;
    const work = key === undefined ? task() : inTurn(key, task);
    try {
      return await Promise.race([work, abortion(deadline.signal)]);
    } catch (error) {
      if (error === deadline.signal.reason) {
        work.then(
          () => onLate(method, call),
          (failure) => onLate(method, call, failure === error ? undefined : failure),
        );
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
}

async function carryOut(call: Call, deadline: AbortSignal): Promise<Answer> {
  if ('run' in call) return call.run();
  // Its turn came too late: Docker has given up, so nothing needs to be made.
  deadline.throwIfAborted();
  const { answer, takeBack } = await call.make();
  if (deadline.aborted) await takeBack();
  return answer;
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function tooLate(method: string, subject: Subject, deadlineMs: number): WeftError {
  return new WeftError(
    'timeout',
    `weft did not finish ${describe(method, subject)} within ${deadlineMs / 1000} s, as the store or this host is slow: ` +
      'try again, and if it stays so look at the log of weft (lines of the plugin in: journalctl -u docker)',
  );
}

/** `NetworkDriver.Join for endpoint 0123456789ab of network 89abcdef0123`, IDs as short as Docker prints them. */
export function describe(method: string, { network, endpoint, pool, address }: Subject): string {
  const objects = [
    address && `address ${address}`,
    pool && `pool ${pool}`,
    endpoint && `endpoint ${endpoint.slice(0, 12)}`,
    network && `network ${network.slice(0, 12)}`,
  ].filter((words) => words !== undefined);
  return objects.length === 0 ? method : `${method} for ${objects.join(' of ')}`;
}
