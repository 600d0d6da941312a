/**
 * One etcd endpoint, as the four calls that weft makes. This is the only user of the etcd3 library, which is
 * kept to plain calls: its own retry repeats transactions and then reports `conflict` for what it has itself
 * committed, its circuit breaker turns one refused request into five seconds of failure for everybody, and
 * its watcher and lease classes lose events and notice loss late.
 */
import { X509Certificate } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { createSecureContext, rootCertificates } from 'node:tls';
import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import { noop } from 'cockatiel';
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
  type IOptions,
  type IRangeRequest,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchCreateRequest,
  type IWatchResponse,
} from 'etcd3';
import { WeftError } from '../errors.ts';
import { EtcdFailure, type FailureKind } from './etcd-failure.ts';

export interface EtcdAccess {
  /** PEM. Without it, an https endpoint is checked against the well-known authorities. */
  readonly ca?: Buffer;
  /** PEM, both or neither. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly username?: string;
  readonly password?: string;
}

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

const channelOptions = {
  // A frozen server or a link that swallows packets ends the streams after 13 s at most. etcd closes
  // connections that ping more often than every 5 s (--grpc-keepalive-min-time).
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A page of a listing or a batch of events may be larger than the default of 4 MiB.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.enable_http_proxy': 0,
};

/**
 * Connects when first used. An https endpoint is spoken to by TLS.
 *
 * @param endpoint `http://10.0.0.1:2379`, `https://etcd.example:2379` or `unix:/run/weft/etcd.sock`
 * @param openTimeoutMs for logging in, and for the first answer of a watch
 * @throws WeftError `invalid` for an endpoint or a certificate that cannot be right.
 */
export function connectEtcd(endpoint: string, access: EtcdAccess, openTimeoutMs: number): EtcdConnection {
  const { url, options } = parseEndpoint(endpoint, access, openTimeoutMs);
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
    if (failure.kind === 'denied' && !closed) {
      // A token may have ended in a way that the library does not recognise; a new client asks for a new one.
      client.close();
      client = new Etcd3(options);
    }
    return failure;
  }

  async function* watch(request: IWatchCreateRequest, signal: AbortSignal): AsyncGenerator<IWatchResponse> {
    const stream = await client.watchClient
      .watch({ interceptors: [requireLeader] })
      .catch((error: unknown) => {
        throw failed(error, openTimeoutMs);
      });
    if (!(stream instanceof EventEmitter))
      throw new WeftError('internal', 'etcd3 gave a stream of no known kind');
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
      stream.cancel();
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
          stream.cancel();
        }
      }),
    close() {
      closed = true;
      client.close();
    },
  };
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
  if (compact_revision !== '0')
    throw new EtcdFailure('compacted', url, `history begins at ${compact_revision}`);
  throw new EtcdFailure('broken', url, cancel_reason === '' ? 'it ended the watch' : cancel_reason);
}

function parseEndpoint(
  endpoint: string,
  access: EtcdAccess,
  timeoutMs: number,
): { url: string; options: IOptions } {
  const [, scheme, host] = /^(https?):\/\/([^\s/@]+:\d+)\/?$/.exec(endpoint) ?? [];
  const [socket] = /^unix:\/.+$/.exec(endpoint) ?? [];
  const url = socket ?? `${scheme}://${host}`;
  if (socket === undefined && host === undefined) {
    throw new WeftError(
      'invalid',
      `the etcd endpoint "${endpoint.replace(/\/\/.*@/, '//***@')}" is not of the form http://host:port or https://host:port`,
    );
  }
  if ((access.cert === undefined) !== (access.key === undefined)) {
    throw new WeftError('invalid', 'a client certificate for etcd and its key must be given together');
  }
  const { ca, cert, key, username, password } = access;
  checkCertificates(access);
  return {
    url,
    options: {
      hosts: url,
      grpcOptions: channelOptions,
      // Logging in is a call of its own, made by the library; an object would hold one moment for ever.
      defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + timeoutMs }),
      faultHandling: { host: () => noop, global: noop },
      ...(username !== undefined && { auth: { username, password: password ?? '' } }),
      ...(scheme === 'https' && {
        credentials: {
          rootCertificate: ca ?? Buffer.from(rootCertificates.join('\n')),
          ...(key !== undefined && { privateKey: key }),
          ...(cert !== undefined && { certChain: cert }),
        },
      }),
    },
  };
}

function checkCertificates({ ca, cert, key }: EtcdAccess): void {
  try {
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new WeftError(
      'invalid',
      'the authority, certificate or key for etcd cannot be used; each must be PEM, and the key that of the certificate',
      { cause },
    );
  }
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
