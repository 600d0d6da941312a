/**
 * One etcd endpoint, as the four calls that weft makes. This is the only user of the etcd3 library, which is
 * kept to plain calls: its own retry repeats transactions and then reports `conflict` for what it has itself
 * committed, its circuit breaker turns one refused request into five seconds of failure for everybody, and
 * its watcher and lease classes lose events and notice loss late.
 */
import { EventEmitter, on } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import {
  ClientClosedError,
  castGrpcError,
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCDeadlineExceededError,
  GRPCFailedPreconditionError,
  GRPCInvalidArgumentError,
  GRPCNotFoundError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  type IRangeRequest,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchCreateRequest,
  type IWatchResponse,
} from 'etcd3';
import { explain, WeftError } from '../errors.ts';
import { EtcdFailure, type FailureKind } from './etcd-failure.ts';
import { clientOptions, type EtcdAccess } from './etcd-options.ts';

/** All reject with `EtcdFailure`, calls at the latest when their time is over. */
export interface EtcdConnection {
  readonly url: string;
  range(request: IRangeRequest, timeoutMs: number): Promise<IRangeResponse>;
  txn(request: ITxnRequest, timeoutMs: number): Promise<ITxnResponse>;
  /** Answers the lease's id. */
  grantLease(ttlSeconds: number, timeoutMs: number): Promise<string>;
  /** Answers false when the lease has ended. */
  renewLease(id: string, timeoutMs: number): Promise<boolean>;
  /** The first answer is the one that says `created`. Ends only when the signal aborts. */
  watch(request: IWatchCreateRequest, signal: AbortSignal): AsyncGenerator<IWatchResponse>;
  close(): void;
}

/**
 * Connects when first used.
 *
 * @param access asked for again after each failure that other certificates or another password could mend
 * @param openTimeoutMs for logging in, and for the first answer of a watch
 * @throws as `clientOptions`
 */
export function connectEtcd(
  endpoint: string,
  access: () => EtcdAccess,
  openTimeoutMs: number,
): EtcdConnection {
  let shown = access();
  let options = clientOptions(endpoint, shown, openTimeoutMs);
  const url = String(options.hosts);
  let client = new Etcd3(options);
  let closed = false;

  async function call<T>(timeoutMs: number, run: (deadline: { deadline: number }) => Promise<T>): Promise<T> {
    try {
      return await run({ deadline: Date.now() + timeoutMs });
    } catch (error) {
      throw failed(error, timeoutMs);
    }
  }

  function failed(error: unknown, timeoutMs: number): EtcdFailure {
    const failure = error instanceof EtcdFailure ? error : classify(error, url, timeoutMs);
    if (closed || !(failure.local || failure.kind === 'denied')) return failure;
    try {
      // A token may have ended in a way that the library does not recognise; a new client asks for a new one.
      if (isRenewed() || failure.kind === 'denied') reconnect();
      return failure;
    } catch (renewal) {
      return failure.because(explain(renewal));
    }
  }

  /** Whether what is to be shown to etcd is another than it was. @throws as `clientOptions` */
  function isRenewed(): boolean {
    const now = access();
    if (isDeepStrictEqual(now, shown)) return false;
    options = clientOptions(endpoint, now, openTimeoutMs);
    shown = now;
    return true;
  }

  function reconnect(): void {
    client.close();
    client = new Etcd3(options);
  }

  async function* watch(request: IWatchCreateRequest, signal: AbortSignal): AsyncGenerator<IWatchResponse> {
    const stream = await client.watchClient
      .watch({ interceptors: [requireLeader] })
      .catch((error: unknown) => {
        throw failed(error, openTimeoutMs);
      });
    if (!(stream instanceof EventEmitter)) {
      throw new WeftError('internal', 'the stream of a watch is not the event emitter it was');
    }
    // Outlives the loop below: a cancelled stream still reports that it was cancelled.
    stream.on('error', () => {});
    let silent = false;
    const opening = setTimeout(() => {
      silent = true;
      stream.cancel();
    }, openTimeoutMs);
    try {
      const responses = on(stream, 'data', { close: ['end'], signal });
      stream.write({ create_request: request });
      for await (const [response] of responses) {
        clearTimeout(opening);
        assertGoingOn(response, url);
        yield response;
      }
      throw new EtcdFailure('broken', url, 'it ended the watch');
    } catch (error) {
      if (signal.aborted) return;
      throw silent
        ? new EtcdFailure('silent', url, `within ${openTimeoutMs / 1000} s`)
        : failed(error, openTimeoutMs);
    } finally {
      clearTimeout(opening);
      finish(stream);
    }
  }

  return {
    url,
    watch,
    range: (request, timeoutMs) => call(timeoutMs, (deadline) => client.kv.range(request, deadline)),
    txn: (request, timeoutMs) => call(timeoutMs, (deadline) => client.kv.txn(request, deadline)),
    grantLease: (ttlSeconds, timeoutMs) =>
      call(timeoutMs, async (deadline) => {
        const { ID } = await client.leaseClient.leaseGrant({ TTL: ttlSeconds }, deadline);
        return ID;
      }),
    renewLease: (id, timeoutMs) =>
      call(timeoutMs, async (deadline) => {
        const stream = await client.leaseClient.leaseKeepAlive(deadline);
        try {
          const ttl = await new Promise<string>((resolve, reject) => {
            stream.on('error', reject);
            stream.on('end', () => reject(new Error('the stream ended without an answer')));
            stream.on('data', (response) => resolve(response.TTL));
            stream.write({ ID: id });
          });
          return ttl !== '0';
        } finally {
          finish(stream);
        }
      }),
    close() {
      closed = true;
      client.close();
    },
  };
}

/** Cancels in the library's good books: for a stream that it can still write to, it drops all connections. */
function finish(stream: { end(): void; cancel(): void }): void {
  stream.end();
  stream.cancel();
}

/** Without it, a member that is cut off from the others keeps a watch open and silent. */
const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      const own = metadata.clone();
      own.set('hasleader', 'true');
      next(own, listener);
    },
  });

function assertGoingOn(response: IWatchResponse, url: string): void {
  if (!response.canceled) return;
  const { compact_revision, cancel_reason } = response;
  if (compact_revision !== '0') {
    throw new EtcdFailure('compacted', url, `its history begins at ${compact_revision}`);
  }
  throw new EtcdFailure('broken', url, cancel_reason === '' ? 'it ended the watch' : cancel_reason);
}

/** The texts are grpc-js's. When it changes one, the failure counts as ambiguous, which is the safe side. */
const neverSent =
  /No connection established|Name resolution failed|[Ww]aiting for LB pick|waiting for name resolution|Channel closed before call started/;
/** etcd answers these with codes of their own (INVALID_ARGUMENT); the token has to be asked for again. */
const authenticationEnded = /revision of auth store is old|user name is empty/;

function classify(thrown: unknown, url: string, timeoutMs: number): EtcdFailure {
  const error = thrown instanceof Error ? castGrpcError(thrown) : new Error(String(thrown));
  const kind = kindOf(error);
  return new EtcdFailure(kind, url, detailOf(error, kind, timeoutMs), { cause: error });
}

function detailOf(error: Error, kind: FailureKind, timeoutMs: number): string {
  const within = `within ${timeoutMs / 1000} s`;
  if (kind === 'silent') return within;
  if (error instanceof GRPCDeadlineExceededError) return `no connection ${within}`;
  const [, connectionError] = /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(error.message) ?? [];
  return connectionError ?? error.message.replace(/^\d+ [A-Z_]+: /, '');
}

function kindOf(error: Error): FailureKind {
  const { message } = error;
  if (neverSent.test(message) || error instanceof ClientClosedError) return 'unreachable';
  if (error instanceof GRPCDeadlineExceededError) return 'silent';
  if (error instanceof EtcdLeaseInvalidError) return 'lease-ended';
  if (
    authenticationEnded.test(message) ||
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof EtcdInvalidAuthTokenError ||
    error instanceof EtcdPermissionDeniedError ||
    error instanceof GRPCUnauthenticatedError
  ) {
    return 'denied';
  }
  if (error instanceof GRPCResourceExhastedError) return message.includes('space exceeded') ? 'full' : 'busy';
  if (error instanceof GRPCOutOfRangeError) return message.includes('compacted') ? 'compacted' : 'refused';
  if (
    error instanceof GRPCInvalidArgumentError ||
    error instanceof GRPCFailedPreconditionError ||
    error instanceof GRPCNotFoundError
  ) {
    return 'refused';
  }
  return 'broken';
}
