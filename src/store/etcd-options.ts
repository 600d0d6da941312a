/** How the etcd3 library is set up for one endpoint. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates } from 'node:tls';
import { noop } from 'cockatiel';
import type { IOptions } from 'etcd3';
import { WeftError } from '../errors.ts';

export interface EtcdAccess {
  /** PEM. Without it, an https endpoint is checked against the well-known authorities. */
  readonly ca?: Buffer;
  /** PEM, both or neither. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly username?: string;
  readonly password?: string;
}

const channelOptions = {
  // A frozen server or a link that swallows packets ends the streams after 13 s at most. etcd closes
  // connections that ping more often than every 5 s (--grpc-keepalive-min-time).
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A page of a listing or a batch of events may be larger than the default of 4 MiB: a page of full blocks, of 256.
  'grpc.max_receive_message_length': 256 * 1024 * 1024,
  'grpc.enable_http_proxy': 0,
};

/**
 * @param endpoint `http://10.0.0.1:2379`, `https://etcd.example:2379` or `unix:/run/weft/etcd.sock`
 * @param loginTimeoutMs for exchanging the password for a token
 * @throws WeftError `invalid` for an endpoint or a certificate that cannot be right.
 */
export function clientOptions(endpoint: string, access: EtcdAccess, loginTimeoutMs: number): IOptions {
  const { ca, cert, key, username, password } = access;
  const url = parseEndpoint(endpoint);
  checkCertificates(access);
  return {
    hosts: url,
    grpcOptions: channelOptions,
    // A function, because an object would hold one moment for ever. The library logs in by a call of its own.
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + loginTimeoutMs }),
    faultHandling: { host: () => noop, global: noop },
    ...(username !== undefined && { auth: { username, password: password ?? '' } }),
    ...(url.startsWith('https:') && {
      credentials: {
        rootCertificate: ca ?? Buffer.from(rootCertificates.join('\n')),
        ...(key !== undefined && { privateKey: key }),
        ...(cert !== undefined && { certChain: cert }),
      },
    }),
  };
}

/** The endpoint as the library takes it: a slash at the end would become part of the port. */
function parseEndpoint(endpoint: string): string {
  const [, url] = /^(https?:\/\/[^\s/@]+:\d+|unix:\/.+?)\/?$/.exec(endpoint) ?? [];
  if (url !== undefined) return url;
  throw new WeftError(
    'invalid',
    `the etcd endpoint "${endpoint.replace(/\/\/.*@/, '//***@')}" is not of the form http://host:port or https://host:port`,
  );
}

function checkCertificates({ ca, cert, key }: EtcdAccess): void {
  if ((cert === undefined) !== (key === undefined)) {
    throw new WeftError('invalid', 'a client certificate for etcd and its key must be given together');
  }
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
