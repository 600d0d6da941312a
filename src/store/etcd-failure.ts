/** How a call to etcd can fail, and what that says about a write it carried. */
import { type ErrorCode, WeftError } from '../errors.ts';

export type FailureKind =
  /** No connection: the request never left this host. */
  | 'unreachable'
  /** Sent, and no answer in time. */
  | 'silent'
  /** Sent, and the connection or the server failed before the answer. */
  | 'broken'
  /** The user, its rights or its certificate. */
  | 'denied'
  /** No space left: it serves reads and deletions only. */
  | 'full'
  /** More requests than it can take. */
  | 'busy'
  /** Not a request that etcd takes. */
  | 'refused'
  /** It asks for a revision whose history is gone. */
  | 'compacted'
  /** It names a lease that has ended. */
  | 'lease-ended';

export class EtcdFailure extends WeftError {
  readonly kind: FailureKind;
  readonly #url: string;
  readonly #detail: string;

  /** @param detail what etcd or the connection said. */
  constructor(kind: FailureKind, url: string, detail: string, options?: { cause?: unknown }) {
    const { code, says } = kinds[kind];
    super(code, `the store (etcd at ${url}) ${says(detail)}`, options);
    this.kind = kind;
    this.#url = url;
    this.#detail = detail;
  }

  /** The same, with one more reason. */
  because(reason: string): EtcdFailure {
    return new EtcdFailure(this.kind, this.#url, `${this.#detail}; ${reason}`, { cause: this.cause });
  }

  /** A write may hold, now or in a moment; for all other kinds it certainly does not. */
  get ambiguous(): boolean {
    return this.kind === 'silent' || this.kind === 'broken';
  }

  /** Another endpoint may well serve the same request. */
  get local(): boolean {
    return this.kind === 'unreachable' || this.ambiguous;
  }
}

const advice = 'check that it runs and is reachable from this host';

const kinds: Record<FailureKind, { code: ErrorCode; says: (detail: string) => string }> = {
  unreachable: { code: 'unavailable', says: (detail) => `cannot be reached (${detail}); ${advice}` },
  silent: { code: 'timeout', says: (detail) => `did not answer ${detail}; ${advice}` },
  broken: { code: 'unavailable', says: (detail) => `failed to answer (${detail}); ${advice}` },
  denied: {
    code: 'denied',
    says: (detail) => `refused us (${detail}); check the user, its role and the client certificate`,
  },
  full: {
    code: 'unavailable',
    says: (detail) => `is full (${detail}); compact and defragment it, then disarm its alarms`,
  },
  busy: { code: 'unavailable', says: (detail) => `is overloaded (${detail}); try again` },
  refused: { code: 'invalid', says: (detail) => `refused the request (${detail})` },
  compacted: { code: 'unavailable', says: (detail) => `has forgotten that revision (${detail}); try again` },
  'lease-ended': { code: 'not-found', says: (detail) => `does not know the lease any more (${detail})` },
};
