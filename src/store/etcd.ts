/** The store on etcd. */
import { type Clock, systemClock } from './clock.ts';
import { connectEtcd } from './etcd-connection.ts';
import { endpointsOf } from './etcd-endpoints.ts';
import { EtcdFailure } from './etcd-failure.ts';
import type { EtcdAccess } from './etcd-options.ts';
import { watchRange } from './etcd-watch.ts';
import { entryOf, type KeyRange, keyAfter, prefixRange, transactionRequest } from './etcd-wire.ts';
import { checkLimits } from './limits.ts';
import type { Entry, Store } from './store.ts';
import type { Census } from './watch-tally.ts';

export interface EtcdOptions extends EtcdAccess {
  /** What to show to etcd now, where that may be renewed; absent: always the same. */
  readonly renewed?: () => EtcdAccess;
  /** `http://10.0.0.1:2379`, `https://etcd.example:2379` or `unix:/run/weft/etcd.sock`; one or more. */
  readonly endpoints: readonly string[];
  /** Of every call; of each page in a listing. */
  readonly callTimeoutMs?: number;
  /** Keys in one page of a listing. For each page etcd counts all keys that are left, so few large ones are best. */
  readonly pageSize?: number;
  /** How long a stream of a watch lives. The check that follows makes etcd sort all keys, so it is rare. */
  readonly watchRenewalMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** How often a listing starts again when etcd compacts its revision away under it. */
const listAttempts = 3;

/**
 * Returns at once: nothing is connected before the first call.
 *
 * @throws WeftError `invalid` for an endpoint or a certificate that cannot be right.
 */
export function openEtcdStore(options: EtcdOptions): Store {
  const {
    callTimeoutMs = 3_000,
    pageSize = 5_000,
    watchRenewalMs = 30 * 60_000,
    clock = systemClock,
    random = Math.random,
    renewed = () => options,
  } = options;
  const connections = options.endpoints.map((endpoint) => connectEtcd(endpoint, renewed, callTimeoutMs));
  const endpoints = endpointsOf(connections, callTimeoutMs, clock, random);

  async function list(range: KeyRange): Promise<{ entries: Entry[]; revision: bigint }> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await listOnce(range);
      } catch (error) {
        const compacted = error instanceof EtcdFailure && error.kind === 'compacted';
        if (!compacted || attempt === listAttempts) throw error;
      }
    }
  }

  async function listOnce(range: KeyRange): Promise<{ entries: Entry[]; revision: bigint }> {
    const entries: Entry[] = [];
    let { key, range_end } = range;
    let revision: string | undefined;
    for (;;) {
      const page = await endpoints.read((connection, timeoutMs) =>
        connection.range(
          { key, range_end, limit: pageSize, ...(revision !== undefined && { revision }) },
          timeoutMs,
        ),
      );
      revision ??= page.header.revision;
      entries.push(...page.kvs.map(entryOf));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { entries, revision: BigInt(revision) };
      key = keyAfter(last.key);
    }
  }

  async function census(range: KeyRange, revision: bigint): Promise<Census | undefined> {
    const newestFirst = { sort_target: 'Mod', sort_order: 'Descend', limit: 1, keys_only: true } as const;
    const request = { ...range, ...newestFirst, revision: String(revision) };
    try {
      const { count, kvs } = await endpoints.read((connection, timeoutMs) =>
        connection.range(request, timeoutMs),
      );
      return { count: Number(count), newest: BigInt(kvs[0]?.mod_revision ?? 0) };
    } catch (error) {
      if (error instanceof EtcdFailure && error.kind === 'compacted') return undefined;
      throw error;
    }
  }

  async function newestRevision({ key }: KeyRange): Promise<bigint> {
    const request = { key, count_only: true };
    const { header } = await endpoints.read((connection, timeoutMs) => connection.range(request, timeoutMs));
    return BigInt(header.revision);
  }

  return {
    list: (prefix) => list(prefixRange(prefix)),

    async get(key) {
      const request = { key: Buffer.from(key) };
      const { kvs } = await endpoints.read((connection, timeoutMs) => connection.range(request, timeoutMs));
      const [found] = kvs;
      return found === undefined ? undefined : entryOf(found);
    },

    async transact(transaction) {
      checkLimits(transaction);
      const request = transactionRequest(transaction);
      try {
        const answer = await endpoints.write((connection, timeoutMs) => connection.txn(request, timeoutMs));
        if (!answer.succeeded) return { outcome: 'conflict' };
        return { outcome: 'committed', revision: BigInt(answer.header.revision) };
      } catch (error) {
        if (error instanceof EtcdFailure && error.ambiguous) return { outcome: 'unknown', cause: error };
        throw error;
      }
    },

    watch(prefix, signal, before) {
      const open = (...request: Parameters<(typeof connections)[0]['watch']>) =>
        endpoints.stream((connection) => connection.watch(...request));
      const renewal = () => AbortSignal.timeout(Math.round(watchRenewalMs * (0.5 + random())));
      const source = { list, newestRevision, census, open, renewal, clock, random };
      return watchRange(source, prefixRange(prefix, before), signal);
    },

    async grantLease(ttlSeconds) {
      // A grant that was made and not heard of ends by itself.
      const id = await endpoints.read((connection, timeoutMs) =>
        connection.grantLease(ttlSeconds, timeoutMs),
      );
      return { id };
    },

    async renewLease(lease) {
      return endpoints.read((connection, timeoutMs) => connection.renewLease(lease.id, timeoutMs));
    },

    async close() {
      endpoints.close();
    },
  };
}
