/** What the process of a host is told to do, and what it has measured. */

export type Order =
  /** Takes part in a subnet, below that root of the store. */
  | { readonly do: 'open'; readonly root: string; readonly subnet: string }
  /** Answers when it has heard of all that had happened by that revision. */
  | { readonly do: 'hear'; readonly revision: string }
  /** Addresses, one after the other. */
  | { readonly do: 'allocate'; readonly count: number }
  /** Those that it has. */
  | { readonly do: 'release' }
  /** Bare transactions: a key of its own, of so many bytes, as long as it is as it was put last. */
  | { readonly do: 'put'; readonly count: number; readonly bytes: number; readonly key: string };

export interface Figures {
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly latenciesMs: readonly number[];
  /** Sent to the store. */
  readonly transactions: number;
}

export type Answer = { readonly figures: Figures } | { readonly failed: string };
