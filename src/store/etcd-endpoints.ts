/**
 * Which endpoint of the cluster takes a call. One is in use at a time; when it fails by itself (cut off,
 * frozen, stopped), the next call goes to the next one.
 */
import { WeftError } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { EtcdConnection } from './etcd-connection.ts';
import { EtcdFailure } from './etcd-failure.ts';

type Call<T> = (connection: EtcdConnection, timeoutMs: number) => Promise<T>;

export interface Endpoints {
  /** Repeated elsewhere when an endpoint fails, within the time of one call. @throws EtcdFailure */
  read<T>(call: Call<T>): Promise<T>;
  /** Repeated elsewhere only when the request never left this host. @throws EtcdFailure */
  write<T>(call: Call<T>): Promise<T>;
  /** Never repeated. @throws EtcdFailure */
  stream<T>(open: (connection: EtcdConnection) => AsyncIterable<T>): AsyncGenerator<T>;
  close(): void;
}

/** @param random where to begin, so that many hosts spread over the members. */
export function endpointsOf(
  connections: readonly EtcdConnection[],
  callTimeoutMs: number,
  clock: Clock,
  random: () => number,
): Endpoints {
  const start = Math.floor(random() * connections.length);
  const [first, ...others] = [...connections.slice(start), ...connections.slice(0, start)];
  if (first === undefined) throw new WeftError('invalid', 'no etcd endpoint is given; name at least one');
  let order: readonly [EtcdConnection, ...EtcdConnection[]] = [first, ...others];

  function leave(failed: EtcdConnection): void {
    const [current, next, ...rest] = order;
    if (current === failed && next !== undefined) order = [next, ...rest, current];
  }

  async function attempt<T>(
    call: Call<T>,
    mayRepeat: (failure: EtcdFailure) => boolean,
    share: (left: number) => number,
  ): Promise<T> {
    const endMs = clock.now() + callTimeoutMs;
    for (let left = order.length; ; left -= 1) {
      const [connection] = order;
      try {
        return await call(connection, Math.max(1, Math.round((endMs - clock.now()) * share(left))));
      } catch (error) {
        if (!(error instanceof EtcdFailure)) throw error;
        if (error.local) leave(connection);
        if (left === 1 || !mayRepeat(error)) throw error;
      }
    }
  }

  return {
    // While there are others to ask, one that stays silent uses up half of the time that is left.
    read: (call) =>
      attempt(
        call,
        (failure) => failure.local,
        (left) => (left > 1 ? 0.5 : 1),
      ),
    write: (call) =>
      attempt(
        call,
        (failure) => failure.kind === 'unreachable',
        () => 1,
      ),
    async *stream(open) {
      const [connection] = order;
      try {
        yield* open(connection);
      } catch (error) {
        if (error instanceof EtcdFailure && error.local) leave(connection);
        throw error;
      }
    },
    close: () => {
      for (const connection of connections) connection.close();
    },
  };
}
