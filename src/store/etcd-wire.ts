/** The store's terms in etcd's, and back. etcd knows ranges of keys, not prefixes; revisions travel as text. */
import type { ICompare, IEvent, IKeyValue, IRequestOp } from 'etcd3';
import type { Condition, Entry, StoreEvent, Transaction, Write } from './store.ts';

export interface KeyRange {
  readonly key: Buffer;
  /** The first key that is not in it. */
  readonly range_end: Buffer;
}

/** All keys that begin with the text; of these, only those that sort before the other one. */
export function prefixRange(prefix: string, before?: string): KeyRange {
  // etcd: a range from "\0" to "\0" is the whole store.
  const key = Buffer.from(prefix === '' ? '\0' : prefix);
  if (before !== undefined) return { key, range_end: Buffer.from(before) };
  const range_end = Buffer.from(key);
  if (prefix !== '') range_end.writeUInt8(range_end.readUInt8(key.length - 1) + 1, key.length - 1);
  return { key, range_end };
}

/** The first key after this one. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

export function transactionRequest({ conditions, writes }: Transaction) {
  return { compare: conditions.flatMap(compares), success: writes.map(operation) };
}

/**
 * In etcd, a comparison over a range holds when it holds for every key there; a key that does not exist, and
 * an empty range, compare as revision 0.
 */
function compares(condition: Condition): ICompare[] {
  if ('exists' in condition) {
    const key = Buffer.from(condition.key);
    return [{ key, target: 'Create', result: 'Greater', create_revision: '0' }];
  }
  if ('revision' in condition) {
    const mod_revision = String(condition.revision);
    return [{ key: Buffer.from(condition.key), target: 'Mod', result: 'Equal', mod_revision }];
  }
  const range = prefixRange(condition.prefix);
  if ('unchangedSince' in condition) {
    const mod_revision = String(condition.unchangedSince + 1n);
    return [{ ...range, target: 'Mod', result: 'Less', mod_revision }];
  }
  if (condition.emptyExcept === undefined) return [isEmpty(range)];
  const exception = Buffer.from(condition.emptyExcept);
  return [isEmpty({ ...range, range_end: exception }), isEmpty({ ...range, key: keyAfter(exception) })];
}

function isEmpty(range: KeyRange): ICompare {
  return { ...range, target: 'Create', result: 'Equal', create_revision: '0' };
}

function operation(write: Write): IRequestOp {
  if ('delete' in write) return { request_delete_range: { key: Buffer.from(write.delete) } };
  if ('deletePrefix' in write) return { request_delete_range: prefixRange(write.deletePrefix) };
  return {
    request_put: {
      key: Buffer.from(write.put),
      value: Buffer.from(write.value),
      ...(write.lease !== undefined && { lease: write.lease.id }),
    },
  };
}

export function entryOf({ key, value, mod_revision }: IKeyValue): Entry {
  return { key: key.toString(), value: value.toString(), revision: BigInt(mod_revision) };
}

export function eventOf({ type, kv }: IEvent): StoreEvent {
  if (type === 'Put') return { type: 'put', entry: entryOf(kv) };
  return { type: 'delete', key: kv.key.toString(), revision: BigInt(kv.mod_revision) };
}
