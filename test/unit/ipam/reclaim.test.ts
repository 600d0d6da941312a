import { beforeEach, describe, expect, it, vi } from 'vitest';
import { announcementsTo } from '../../../src/agent/announcements.ts';
import { assignAddress, confirmation, releaseAddress, releaseHeld } from '../../../src/ipam/addresses.ts';
import { look } from '../../../src/ipam/reading.ts';
import {
  abandonedBlocks,
  blocksWith,
  disinherit,
  emptyBlocks,
  giveBackBlock,
  hostsWithHoldings,
  reclaimAddresses,
  type SeenBlock,
} from '../../../src/ipam/reclaim.ts';
import { holderOf, hostOf } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost } from './test-host.ts';

const subnet = '10.77.0.0/24';
const minute = 60_000;

let store: FakeStore;
let nowMs: number;
let h1: IpamHost;
let h2: IpamHost;
let pools: Map<IpamHost, string>;

beforeEach(async () => {
  store = new FakeStore();
  nowMs = 1_700_000_000_000;
  h1 = await testHost(store, 'h1', { now: () => nowMs });
  h2 = await testHost(store, 'h2', { now: () => nowMs });
  pools = new Map();
  for (const host of [h1, h2]) pools.set(host, await poolOn(host, subnet));
});

const assign = (on: IpamHost, wanted?: string) => assignAddress(on, pools.get(on) ?? '', wanted);
const release = (on: IpamHost, address: string) => releaseAddress(on, pools.get(on) ?? '', address);
const emptyOf = (on: IpamHost) => emptyBlocks(on, (owner) => owner === on.hostId);
const cidrs = (blocks: readonly SeenBlock[]) => blocks.map(({ cidr }) => cidr);

async function blocks() {
  const { entries } = await store.list(h1.keys.allBlocks);
  return entries.map(({ value }) => records.block.parse(value));
}
const held = async () => (await blocks()).flatMap(({ assigned }) => Object.keys(assigned));

async function write(key: string, value: string): Promise<void> {
  store.writeElsewhere([{ put: key, value }]);
  for (const { watcher } of pools.keys()) {
    await watcher.until(({ mirror }) => mirror.revision === store.revision);
  }
}
const comeAlive = (host: IpamHost) => write(host.keys.alive(host.hostId), host.hostId);

/** h1, of which h2 does not hear. */
function comeAliveUnheard(): void {
  hearsNothing(h2);
  store.writeElsewhere([{ put: h1.keys.alive('h1'), value: 'h1' }]);
}

/** From now on, save of its own doing, though it does not know. */
function hearsNothing(host: IpamHost): void {
  vi.spyOn(host.watcher.mirror, 'apply').mockImplementation(() => {});
}

/** Everybody has heard of everything. */
const settled = () => write('/weft/v1/config', '{}');

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('there is none');
  return item;
}

describe('an empty block', () => {
  it('is one whose last address was given back a while ago', async () => {
    const address = await assign(h1);
    expect(await emptyOf(h1)).toEqual([]);
    await release(h1, address);
    nowMs += 5 * minute - 1;
    expect(await emptyOf(h1)).toEqual([]);
    nowMs += 1;
    expect(cidrs(await emptyOf(h1))).toEqual(['10.77.0.0/26']);
    expect(await emptyOf(h2)).toEqual([]);
  });

  it('is one also where earlier ones are of a clock that was ahead', async () => {
    const [before, after] = [await assign(h1), await assign(h1)];
    nowMs += 10 * minute;
    await release(h1, before);
    nowMs -= 5 * minute;
    await release(h1, after);
    nowMs += 5 * minute;
    expect(cidrs(await emptyOf(h1))).toEqual(['10.77.0.0/26']);
  });

  it('goes back, and is anybody’s', async () => {
    await release(h1, await assign(h1));
    nowMs += 5 * minute;
    await giveBackBlock(h1, first(await emptyOf(h1)));
    expect(await blocks()).toEqual([]);
    expect(await assign(h2)).toBe('10.77.0.1');
    expect(await blocks()).toMatchObject([{ cidr: '10.77.0.0/26', owner: 'h2' }]);
  });

  it('stays when somebody was served from it meanwhile, whoever', async () => {
    await release(h1, await assign(h1));
    nowMs += 5 * minute;
    const seen = first(await emptyOf(h1));
    await assign(h2, '10.77.0.9');
    await giveBackBlock(h1, seen);
    expect(await blocks()).toMatchObject([{ owner: 'h1' }]);
  });

  it('of another host stays while that one is heard of', async () => {
    const poolId = await poolOn(h1, '10.78.0.0/26');
    await releaseAddress(h1, poolId, await assignAddress(h1, poolId));
    nowMs += 5 * minute;
    const seen = first(await emptyOf(h1));
    await comeAlive(h1);
    await giveBackBlock(h2, seen);
    expect(await blocks()).toHaveLength(1);
    await store.transact({ conditions: [], writes: [{ delete: h1.keys.alive('h1') }] });
    await giveBackBlock(h2, seen);
    expect(await blocks()).toEqual([]);
  });

  it('of another host stays while that one may give spare addresses of it to containers', async () => {
    await release(h1, await assign(h1));
    nowMs += 5 * minute;
    await settled();
    expect(cidrs(await emptyOf(h1))).toEqual(['10.77.0.0/26']);
    expect(await emptyBlocks(h2, (owner) => owner === 'h1')).toEqual([]);
    await giveBackBlock(h2, first(await emptyOf(h1)));
    expect(await blocks()).toHaveLength(1);
  });

  it('of another host stays when that one is heard of again, and this one does not know', async () => {
    const poolId = await poolOn(h1, '10.78.0.0/26');
    await releaseAddress(h1, poolId, await assignAddress(h1, poolId));
    nowMs += 5 * minute;
    await settled();
    const seen = first(await emptyBlocks(h2, (owner) => owner === 'h1'));
    comeAliveUnheard();
    await giveBackBlock(h2, seen);
    expect(await blocks()).toMatchObject([{ owner: 'h1' }]);
  });

  it('that was taken from a host that did not hear of it is claimed anew', async () => {
    await release(h1, await assign(h1));
    await settled();
    hearsNothing(h1);
    store.writeElsewhere([{ delete: h1.keys.block(subnet, '10.77.0.0/26') }]);
    await assign(h2, '10.77.0.7');
    await assign(h1);
    expect((await blocks()).map(({ owner }) => owner)).toEqual(['h2', 'h1']);
  });
});

describe('of a host that is gone', () => {
  beforeEach(async () => {
    await write(
      h1.keys.pool(subnet),
      records.pool.render({ v: 1, cidr: subnet, network: 'blue', reserved: [] }),
    );
    await assign(h2);
  });
  const borrowed = () => assign(h1, '10.77.0.9');

  async function announce(id: string, address: string): Promise<void> {
    const endpoint = { v: 1 as const, id, network: 'blue', host: 'h1', mac: '02:00:00:00:00:01' };
    await write(h1.keys.endpoint('blue', id), records.endpoint.render({ ...endpoint, addresses: [address] }));
  }

  it('what no endpoint uses goes back; what one uses stays', async () => {
    await announce('e1', await borrowed());
    await assign(h1, '10.77.0.10');
    await settled();
    expect(hostsWithHoldings(h2).sort()).toEqual(['h1', 'h2']);
    await reclaimAddresses(h2, first(await abandonedBlocks(h2, 'h1')), 'h1');
    expect(await held()).toEqual(['1', '9']);
    expect(await abandonedBlocks(h2, 'h1')).toEqual([]);
  });

  it('nothing goes back of its own blocks: it may be giving that to containers', async () => {
    await assign(h1);
    await settled();
    const [, own] = await blocks();
    expect(own && [own.owner, hostOf(own, 0)]).toEqual(['h1', 'h1']);
    expect(await abandonedBlocks(h2, 'h1')).toEqual([]);
    const seen = { pool: subnet, cidr: '10.77.0.64/26', owner: 'h1', sequence: own?.sequence ?? 0 };
    await reclaimAddresses(h2, seen, 'h1');
    expect((await blocks())[1]).toEqual(own);
  });

  it('nothing goes back that it uses since it was looked at', async () => {
    const address = await borrowed();
    await settled();
    const seen = first(await abandonedBlocks(h2, 'h1'));
    hearsNothing(h2);
    const endpoint = { v: 1 as const, id: 'e1', network: 'blue', host: 'h1', mac: '02:00:00:00:00:01' };
    const value = records.endpoint.render({ ...endpoint, addresses: [address] });
    store.writeElsewhere([{ put: h1.keys.endpoint('blue', 'e1'), value }]);
    await reclaimAddresses(h2, seen, 'h1');
    expect(await held()).toEqual(['1', '9']);
  });

  it('nothing goes back while it is heard of', async () => {
    await borrowed();
    await settled();
    const seen = first(await abandonedBlocks(h2, 'h1'));
    await comeAlive(h1);
    await reclaimAddresses(h2, seen, 'h1');
    expect(await held()).toEqual(['1', '9']);
  });

  it('nothing goes back, nor is inherited, when it is heard of again and this host does not know', async () => {
    await borrowed();
    await assign(h1);
    await settled();
    const before = await blocks();
    const [seen, inherited] = [first(await abandonedBlocks(h2, 'h1')), blocksWith(h2, 'h1')];
    comeAliveUnheard();
    await reclaimAddresses(h2, seen, 'h1');
    expect(await blocks()).toEqual(before);
    for (const block of inherited) await disinherit(h2, block, 'h1');
    expect(await blocks()).toEqual(before);
  });

  it('nothing goes back while there is an endpoint that cannot be read', async () => {
    await borrowed();
    await write(h1.keys.endpoint('blue', 'e1'), '{"v":99}');
    expect(await abandonedBlocks(h2, 'h1')).toEqual([]);
  });

  it('what went back, and is another’s now, is announced by no host that has not heard of it', async () => {
    const address = await borrowed();
    await write(h1.keys.network('blue'), '{}');
    hearsNothing(h1);
    await reclaimAddresses(h2, first(await abandonedBlocks(h2, 'h1')), 'h1');
    await assign(h2, address);
    const endpoint = { v: 1 as const, id: 'e1', network: 'blue', host: 'h1', mac: '02:00:00:00:00:01' };
    const announcement = announcementsTo(h1).announce({ ...endpoint, addresses: [address] }, [subnet]);
    await expect(announcement).rejects.toThrow('address 10.77.0.9 is not held by this host any more');
    expect((await store.list(h1.keys.allEndpoints)).entries).toEqual([]);
  });

  it('what went back is not confirmed when it returns', async () => {
    const address = await borrowed();
    await settled();
    await reclaimAddresses(h2, first(await abandonedBlocks(h2, 'h1')), 'h1');
    await settled();
    await expect(look(h1, (reading) => confirmation(h1, reading, [subnet], address))).rejects.toThrow(
      'address 10.77.0.9 is not held by this host any more',
    );
  });
});

it('an address that was confirmed is not taken back by what was planned before', async () => {
  const address = await assign(h1);
  const { condition, writes } = await look(h1, (reading) => confirmation(h1, reading, [subnet], address));
  const [found] = (await blocks()).map((block) => holderOf(block, 1));
  const [before] = await store.list(h1.keys.allBlocks).then(({ entries }) => entries);
  await store.transact({ conditions: [condition], writes });
  const late = { key: before?.key ?? '', revision: before?.revision ?? 0n };
  expect(await store.transact({ conditions: [late], writes: [] })).toEqual({ outcome: 'conflict' });
  h1.endpoints.add(address);
  await releaseHeld(h1, { pool: subnet, address, operation: found?.operation ?? '', sinceMs: 0 });
  expect(await held()).toEqual(['1']);
});
