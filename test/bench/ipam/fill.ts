/** Has addresses in use, as hosts would have allocated them, without the time that this takes. */
import { assign, newBlock } from '../../../src/ipam/block.ts';
import { blockOf } from '../../../src/ipam/pool.ts';
import { parsePrefix, prefixSize, printPrefix } from '../../../src/model/address.ts';
import { type Block, claimOf } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { maxOperations } from '../../../src/store/limits.ts';
import type { Store, Write } from '../../../src/store/store.ts';

/**
 * Spread evenly over blocks, and these over the hosts; as many blocks as have room for so many more, if there are.
 * @returns the store's revision afterwards, and how many bytes a block's record has on average
 */
export async function fill(
  store: Store,
  root: string,
  of: {
    readonly subnet: string;
    readonly used: number;
    readonly room: number;
    readonly hosts: readonly string[];
  },
): Promise<{ readonly revision: bigint; readonly bytesPerBlock: number }> {
  const { subnet, used, room, hosts } = of;
  const keys = keysBelow(root);
  const pool = parsePrefix(subnet);
  const blockSize = Number(prefixSize(blockOf(pool, pool.first)));
  const most = Number(prefixSize(pool)) / blockSize;
  const needed = Math.ceil((used + room) / blockSize / hosts.length) * hosts.length;
  const count = Math.min(needed, most);
  const filled = Array.from({ length: count }, (_, index): { claim: Write; block: Write } => {
    const prefix = blockOf(pool, pool.first + BigInt(index * blockSize));
    const owner = hosts[index % hosts.length] ?? '';
    const share = Math.floor((used * (index + 1)) / count) - Math.floor((used * index) / count);
    let block: Block = newBlock({ pool: subnet, cidr: printPrefix(prefix), owner });
    // The first address of the subnet is no container's.
    const from = index === 0 ? 1 : 0;
    for (let offset = from; offset < Math.min(share + from, blockSize); offset += 1) {
      const operation = (index * blockSize + offset).toString(16).padStart(12, '0');
      block = assign(block, offset, { host: owner, operation, sinceMs: Date.now() });
    }
    const { cidr } = block;
    return {
      claim: { put: keys.claim(subnet, cidr), value: records.claim.render(claimOf(block)) },
      block: { put: keys.block(subnet, cidr), value: records.block.render(block) },
    };
  });
  // The claims last: with them, hosts hear that all is done.
  const writes = [...filled.map(({ block }) => block), ...filled.map(({ claim }) => claim)];
  let revision = 0n;
  for (let written = 0; written < writes.length; written += maxOperations) {
    const outcome = await store.transact({
      conditions: [],
      writes: writes.slice(written, written + maxOperations),
    });
    if (outcome.outcome !== 'committed') throw new Error(`the subnet cannot be filled: ${outcome.outcome}`);
    revision = outcome.revision;
  }
  const bytes = filled.reduce((sum, { block }) => sum + ('put' in block ? block.value.length : 0), 0);
  return { revision, bytesPerBlock: Math.round(bytes / count) };
}

/** Bytes of keys and values in the store below the root. */
export async function bytesBelow(store: Store, root: string): Promise<number> {
  const { entries } = await store.list(root);
  return entries.reduce((sum, { key, value }) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
}
