/** What etcd takes in one transaction (its defaults), checked before anything is sent. */
import { WeftError } from '../errors.ts';
import type { Condition, Transaction } from './store.ts';

/** etcd `--max-txn-ops`: holds for the conditions and for the writes. */
export const maxOperations = 128;
/** etcd `--max-request-bytes` is 1.5 MiB for the whole request; some of it is framing and keys. */
export const maxRequestBytes = 1_500_000;

/** @throws WeftError `invalid` when etcd would refuse the transaction whatever it holds. */
export function checkLimits({ conditions, writes }: Transaction): void {
  const compares = conditions.reduce((sum, condition) => sum + compareCount(condition), 0);
  if (compares > maxOperations || writes.length > maxOperations) {
    throw new WeftError(
      'invalid',
      `a transaction of ${compares} conditions and ${writes.length} writes is refused, because the store takes at most ${maxOperations} of each`,
    );
  }
  const written = new Set<string>();
  let bytes = 0;
  for (const write of writes) {
    if (!('put' in write)) continue;
    if (written.has(write.put)) {
      throw new WeftError('invalid', `a transaction that puts ${write.put} twice is refused`);
    }
    written.add(write.put);
    bytes += Buffer.byteLength(write.put) + Buffer.byteLength(write.value);
  }
  if (bytes > maxRequestBytes) {
    const [first = ''] = written;
    throw new WeftError(
      'invalid',
      `a transaction of ${bytes} bytes (first key ${first}) is refused, because the store takes at most ${maxRequestBytes}`,
    );
  }
  for (const write of writes) {
    const covered = [...written].find((key) =>
      'delete' in write
        ? key === write.delete
        : 'deletePrefix' in write && key.startsWith(write.deletePrefix),
    );
    if (covered === undefined) continue;
    throw new WeftError('invalid', `a transaction that both puts and deletes ${covered} is refused`);
  }
}

/** "Empty except one key" is the range before that key and the range after it. */
function compareCount(condition: Condition): number {
  return 'emptyExcept' in condition && condition.emptyExcept !== undefined ? 2 : 1;
}
