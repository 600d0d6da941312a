import { onTestFinished } from 'vitest';
import { requestPool } from '../../../src/ipam/pools.ts';
import { type Block, claimOf } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import type { Keys } from '../../../src/store/keys.ts';
import type { Store, Write } from '../../../src/store/store.ts';
import { type IpamHost, type IpamHostOptions, ipamHost } from '../../fakes/ipam-host.ts';

/** A host whose watch of the store ends with the test. */
export async function testHost(store: Store, id: string, options?: IpamHostOptions): Promise<IpamHost> {
  const host = await ipamHost(store, id, options);
  onTestFinished(() => host.watcher.stop());
  return host;
}

/** Answers the pool's id. */
export async function poolOn(host: IpamHost, pool: string, range?: string): Promise<string> {
  const family = pool.includes(':') ? 6 : 4;
  return (await requestPool(host, { pool, options: {}, family, ...(range && { range }) })).poolId;
}

/** As another host than the owner writes it. */
export function written(keys: Keys, block: Block): Write[] {
  const { pool, cidr } = block;
  return [
    { put: keys.block(pool, cidr), value: records.block.render(block) },
    { put: keys.claim(pool, cidr), value: records.claim.render(claimOf(block)) },
  ];
}
