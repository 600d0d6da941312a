/** Addresses that a host has for itself, and gives to containers while the store is away. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { announcementsTo } from '../../../src/agent/announcements.ts';
import { assignAddress, assignments, releaseAddress } from '../../../src/ipam/addresses.ts';
import { assignSpare, givenAddresses, keepOwn, releaseSpare } from '../../../src/ipam/outage.ts';
import { releasePool, requestPool } from '../../../src/ipam/pools.ts';
import { crampedBlocks, emptyBlocks, giveBackBlock, giveUpSpares } from '../../../src/ipam/reclaim.ts';
import { reserveAddress } from '../../../src/ipam/reservations.ts';
import { reserveForTask } from '../../../src/ipam/tasks.ts';
import { parseAddress } from '../../../src/model/address.ts';
import type { Block } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import { type CutStore, cuttable } from '../../fakes/cut-store.ts';
import { diskInMemory, type IpamHost, ipamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';

const subnet = '10.77.0.0/16';

let store: FakeStore;
let way: CutStore;
let disk: ReturnType<typeof diskInMemory>;
let nowMs: number;
let h1: IpamHost;
let h2: IpamHost;
const hosts = new Map<IpamHost, string>();

async function host(id: string, pool = subnet): Promise<IpamHost> {
  const isFirst = id === 'h1';
  const made = await ipamHost(isFirst ? way : store, id, { now: () => nowMs, ...(isFirst && { disk }) });
  hosts.set(made, (await requestPool(made, { pool, options: {}, family: 4 }, id)).poolId);
  return made;
}

beforeEach(async () => {
  store = new FakeStore();
  way = cuttable(store);
  disk = diskInMemory();
  nowMs = 1_700_000_000_000;
  h1 = await host('h1');
  h2 = await host('h2');
});
afterEach(async () => {
  way.mend();
  await Promise.all([...hosts.keys()].map(({ watcher }) => watcher.stop()));
  hosts.clear();
});

const poolId = (on: IpamHost) => hosts.get(on) ?? '';
const assign = (on: IpamHost, wanted?: string) => assignAddress(on, poolId(on), wanted);
const spare = (wanted?: string) => assignSpare(h1, poolId(h1), wanted === undefined ? {} : { wanted });
const takeBack = (address: string) => releaseSpare(h1, subnet, parseAddress(address));

async function blockAt(cidr: string, pool = subnet): Promise<Block> {
  return records.block.parse((await store.get(h1.keys.block(pool, cidr)))?.value ?? '');
}

async function cutOff(): Promise<void> {
  way.cut();
  await h1.watcher.until(({ mirror }) => !mirror.connected);
}

async function mend(): Promise<void> {
  way.mend();
  await h1.watcher.until(({ mirror }) => mirror.connected && mirror.revision === store.revision);
}

/** weft ends and starts again: nothing is left but the disk. */
async function restart(): Promise<void> {
  await h1.watcher.stop();
  h1 = await ipamHost(store, 'h1', { now: () => nowMs, disk });
  hosts.set(h1, `h1@${subnet}`);
}

describe('a host that serves from a block', () => {
  it('has the last 16 set aside, by the transaction that claims it', async () => {
    const before = store.sent.length;
    expect(await assign(h1)).toBe('10.77.0.1');
    expect(store.sent.length - before).toBe(1);
    const { spare } = await blockAt('10.77.0.0/26');
    expect(spare?.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => 48 + index));
  });

  it('keeps no more than these, however many blocks it has', async () => {
    for (let count = 0; count < 60; count += 1) await assign(h1);
    expect((await blockAt('10.77.0.0/26')).spare).toHaveLength(16);
    expect((await blockAt('10.77.0.64/26')).spare).toBeUndefined();
  });

  it('keeps no more than these when it has started anew, either', async () => {
    await assign(h1);
    await restart();
    for (let count = 0; count < 60; count += 1) await assign(h1);
    expect((await blockAt('10.77.0.0/26')).spare).toHaveLength(16);
    expect((await blockAt('10.77.0.64/26')).spare).toBeUndefined();
  });

  it('has none of a pool of one block, which all need', async () => {
    const { poolId } = await requestPool(h1, { pool: '10.78.0.0/26', options: {}, family: 4 });
    await assignAddress(h1, poolId);
    expect((await blockAt('10.78.0.0/26', '10.78.0.0/26')).spare).toBeUndefined();
  });

  it('takes them from the range that its addresses are to come from', async () => {
    const request = { pool: '10.78.0.0/16', range: '10.78.0.16/28', options: {}, family: 4 as const };
    const { poolId } = await requestPool(h1, request);
    await assignAddress(h1, poolId);
    const { spare = [] } = await blockAt('10.78.0.0/26', '10.78.0.0/16');
    expect(spare.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, index) => 17 + index));
    await cutOff();
    expect(await assignSpare(h1, poolId, { range: '10.78.0.24/29' })).toBe('10.78.0.24');
  });

  it('uses them up before it refuses anybody, and fills up again when there is room', async () => {
    const small = await requestPool(h1, { pool: '10.78.0.0/25', options: {}, family: 4 });
    const given: string[] = [];
    for (let count = 0; count < 126; count += 1) given.push(await assignAddress(h1, small.poolId));
    expect(new Set(given).size).toBe(126);
    for (const address of given) await releaseAddress(h1, small.poolId, address);
    nowMs += 120_000;
    await assignAddress(h1, small.poolId);
    expect((await blockAt('10.78.0.0/26', '10.78.0.0/25')).spare).toHaveLength(16);
  });
});

describe('what is spare', () => {
  it('is so no more when the host gives up its last reference: any other may take the pool along', async () => {
    const again = await requestPool(h1, { pool: subnet, options: {}, family: 4 });
    await assign(h1);
    await releasePool(h1, again.poolId);
    expect(h1.spares.ofPool(subnet)).toHaveLength(1);
    await releasePool(h1, poolId(h1));
    expect(h1.spares.all()).toEqual([]);
    expect(disk.all()).toEqual([]);
  });

  it('stays so when another host gives up its reference', async () => {
    await assign(h1);
    await releasePool(h1, poolId(h2));
    expect(h1.spares.ofPool(subnet)).toHaveLength(1);
  });

  const refusal =
    'address 10.77.0.60 is held for containers that host h1.example starts while the store is away: choose another';
  beforeEach(() => assign(h1));

  it('is refused to others by its holder’s name', async () => {
    await expect(assign(h2, '10.77.0.60')).rejects.toMatchObject({ code: 'conflict', message: refusal });
    await expect(reserveAddress(h2, poolId(h2), '10.77.0.60')).rejects.toThrow(refusal);
    await expect(reserveForTask(h2, poolId(h2), '10.77.0.60')).rejects.toThrow(refusal);
  });

  it('is had by its holder, who asks for it by name', async () => {
    expect(await assign(h1, '10.77.0.60')).toBe('10.77.0.60');
    expect((await blockAt('10.77.0.0/26')).spare).toHaveLength(16);
    await cutOff();
    h1.endpoints.add('10.77.0.60');
    await expect(spare('10.77.0.60')).rejects.toThrow('is in use on host h1.example');
  });

  it('is lent to nobody, until a pool that is full needs it', async () => {
    const small = '10.78.0.0/25';
    const [one, two] = [h1, h2].map((on) => requestPool(on, { pool: small, options: {}, family: 4 }));
    const [pool1, pool2] = [(await one)?.poolId ?? '', (await two)?.poolId ?? ''];
    await assignAddress(h1, pool1);
    const lent: string[] = [];
    const borrow = async () => lent.push(await assignAddress(h2, pool2));
    for (let count = 0; count < 126 - 1 - 16; count += 1) await borrow();
    await expect(borrow()).rejects.toThrow('all addresses are in use, or held for when the store is away');
    await h1.watcher.until(({ mirror }) => mirror.revision === store.revision);
    for (const block of await crampedBlocks(h1)) await giveUpSpares(h1, block);
    for (let count = 0; count < 16; count += 1) await borrow();
    expect(new Set(lent).size).toBe(125);
  });

  it('stays where it is while a pool has room', async () => {
    expect(await crampedBlocks(h1)).toEqual([]);
  });
});

describe('while the store is away', () => {
  beforeEach(async () => {
    await assign(h1);
    await cutOff();
  });

  it('sixteen containers get an address each, none twice, and then none', async () => {
    const given = await Promise.all(Array.from({ length: 17 }, () => spare()));
    expect(given.slice(0, 3)).toEqual(['10.77.0.48', '10.77.0.49', '10.77.0.50']);
    expect(given.at(-1)).toBeUndefined();
    expect(new Set(given).size).toBe(17);
  });

  it('what is given is remembered by the next weft', async () => {
    const before = [await spare(), await spare()];
    await restart();
    expect(givenAddresses(h1).map(({ address }) => address)).toEqual(before);
    expect(before).not.toContain(await spare());
  });

  it('what was given back comes last', async () => {
    const first = await spare();
    await takeBack(first ?? '');
    const given = [];
    for (let count = 0; count < 16; count += 1) given.push(await spare());
    expect(given.at(-1)).toBe(first);
    expect(new Set(given).size).toBe(16);
  });

  it('nothing is given back that an endpoint uses', async () => {
    const address = (await spare()) ?? '';
    h1.endpoints.add(address);
    await takeBack(address);
    expect(givenAddresses(h1)).toHaveLength(1);
  });

  it('a container gets its own again, by name, that it had from the store', async () => {
    h1.endpoints.add('10.77.0.1');
    await expect(spare('10.77.0.1')).rejects.toThrow('is in use on host h1.example');
    h1.endpoints.clear();
    await takeBack('10.77.0.1');
    expect(await spare('10.77.0.1')).toBe('10.77.0.1');
    expect(await spare('10.77.0.9')).toBeUndefined();
    expect(await spare('10.77.0.99')).toBeUndefined();
  });

  it('an endpoint is vouched for only with addresses that nobody else can get', async () => {
    const address = (await spare()) ?? '';
    expect(await keepOwn(h1, [subnet], [address])).toBe(true);
    // From the store, and certain.
    expect(await keepOwn(h1, [subnet], ['10.77.0.1'])).toBe(true);
    expect(await keepOwn(h1, [subnet], [address, '10.77.0.9'])).toBe(false);
    // Held, but never given.
    expect(await keepOwn(h1, [subnet], ['10.77.0.63'])).toBe(false);
  });
});

describe('when the store is back', () => {
  let address: string;
  const endpoint = () => {
    const { network, host } = { network: 'blue', host: 'h1' };
    return { v: 1 as const, id: 'e1', network, host, mac: '02:00:00:00:00:01', addresses: [address] };
  };
  const announce = () => announcementsTo(h1).announce(endpoint(), [subnet]);

  beforeEach(async () => {
    store.writeElsewhere([{ put: h1.keys.network('blue'), value: '{}' }]);
    await assign(h1);
    await cutOff();
    address = (await spare()) ?? '';
    h1.endpoints.add(address);
  });

  it('one transaction assigns what was given, and announces the endpoint', async () => {
    await mend();
    const before = store.sent.length;
    await announce();
    expect(store.sent.length - before).toBe(1);
    expect((await assignments(h1)).map((held) => held.address)).toEqual(['10.77.0.1', address]);
    expect(givenAddresses(h1)).toEqual([]);
    expect(await assign(h1)).toBe('10.77.0.2');
    expect((await blockAt('10.77.0.0/26')).spare).toHaveLength(16);
  });

  it('that is so also when the answer is lost', async () => {
    await mend();
    store.loseAnswers(2);
    await announce();
    expect((await assignments(h1)).map((held) => held.address)).toEqual(['10.77.0.1', address]);
  });

  it('the block counts as empty for nobody before that', async () => {
    await releaseAddress(h1, poolId(h1), '10.77.0.1').catch(() => {});
    await mend();
    await releaseAddress(h1, poolId(h1), '10.77.0.1');
    nowMs += 600_000;
    expect(await emptyBlocks(h1, () => true)).toEqual([]);
    await announce();
    expect(Object.keys((await blockAt('10.77.0.0/26')).assigned)).toHaveLength(1);
  });

  it('what was given for nothing is spare again', async () => {
    h1.endpoints.clear();
    await mend();
    await releaseAddress(h1, poolId(h1), address);
    expect(givenAddresses(h1)).toEqual([]);
    expect(h1.spares.ofPool(subnet)[0]?.spare).toHaveLength(16);
  });

  it('what somebody has taken meanwhile, who took this host for dead, is not used on', async () => {
    store.writeElsewhere([{ delete: h1.keys.block(subnet, '10.77.0.0/26') }]);
    await assign(h2, address);
    await mend();
    await expect(announce()).rejects.toThrow(`address ${address} is not held by this host any more`);
    await cutOff();
    expect(await spare()).toBeUndefined();
  });
});

describe('what this host gives up', () => {
  beforeEach(() => assign(h1));

  it('is not given any more as soon as that is under way, whatever comes of it', async () => {
    await releaseAddress(h1, poolId(h1), '10.77.0.1');
    nowMs += 600_000;
    const [block] = await emptyBlocks(h1, () => true);
    if (block === undefined) throw new Error('it is not empty');
    way.delay();
    await expect(giveBackBlock(h1, block)).rejects.toMatchObject({ code: 'unknown-outcome' });
    await cutOff();
    expect(await spare()).toBeUndefined();
    await way.deliver();
    expect(await assign(h2, '10.77.0.60')).toBe('10.77.0.60');
    await mend();
    expect(await assign(h1)).toBe('10.77.0.64');
  });

  it('is off the disk before the store is asked', async () => {
    await releaseAddress(h1, poolId(h1), '10.77.0.1');
    nowMs += 600_000;
    const [block] = await emptyBlocks(h1, () => true);
    if (block === undefined) throw new Error('it is not empty');
    expect(disk.all()).toMatchObject([{ spare: { length: 16 } }]);
    let onDisk: readonly number[] | undefined;
    vi.spyOn(store, 'transact').mockImplementationOnce(async () => {
      onDisk = disk.all().flatMap(({ spare }) => spare);
      return { outcome: 'conflict' };
    });
    await giveBackBlock(h1, block);
    expect(onDisk).toEqual([]);
  });

  it('is off the disk before the store is asked, too, when all of the subnet goes', async () => {
    const { poolId } = await requestPool(h1, { pool: '10.78.0.0/16', options: {}, family: 4 });
    await assignAddress(h1, poolId);
    expect(disk.all()).toHaveLength(2);
    let onDisk: readonly string[] | undefined;
    vi.spyOn(store, 'transact').mockImplementationOnce(async () => {
      onDisk = disk.all().map(({ pool }) => pool);
      return { outcome: 'conflict' };
    });
    await releasePool(h1, poolId);
    expect(onDisk).toEqual([subnet]);
  });

  it('is given no container by name while its release is in doubt', async () => {
    way.delay();
    await expect(releaseAddress(h1, poolId(h1), '10.77.0.1')).rejects.toMatchObject({
      code: 'unknown-outcome',
    });
    await cutOff();
    expect(await spare('10.77.0.1')).toBeUndefined();
    expect(await keepOwn(h1, [subnet], ['10.77.0.1'])).toBe(false);
    expect(await spare()).toBe('10.77.0.48');
  });
});
