import { beforeEach, describe, expect, it, vi } from 'vitest';
import { assignAddress, assignments, releaseAddress, releaseHeld } from '../../../src/ipam/addresses.ts';
import { newBlock } from '../../../src/ipam/block.ts';
import { reserveAddress, reserveGateway } from '../../../src/ipam/reservations.ts';
import { records } from '../../../src/model/records.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost, written } from './test-host.ts';

let store: FakeStore;
let h1: IpamHost;
let h2: IpamHost;

beforeEach(async () => {
  store = new FakeStore();
  h1 = await testHost(store, 'h1');
  h2 = await testHost(store, 'h2');
});

async function assignMany(on: IpamHost, pool: string, count: number): Promise<string[]> {
  const assigned: string[] = [];
  while (assigned.length < count) assigned.push(await assignAddress(on, pool));
  return assigned;
}

/** Owner by block. */
async function owners(): Promise<Record<string, string>> {
  const { entries } = await store.list('/weft/v1/unwatched/blocks/');
  const blocks = entries.map(({ value }) => records.block.parse(value));
  return Object.fromEntries(blocks.map(({ cidr, owner }) => [cidr, owner]));
}

/** What an action asks of the store. */
async function cost(action: () => Promise<unknown>): Promise<{ transactions: number; reads: number }> {
  const reads = [vi.spyOn(store, 'get'), vi.spyOn(store, 'list')];
  const before = store.sent.length;
  await action();
  const counted = reads.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
  for (const spy of reads) spy.mockRestore();
  return { transactions: store.sent.length - before, reads: counted };
}

describe('an address', () => {
  it('is the lowest that was never used, then the one that has been free longest', async () => {
    const pool = await poolOn(h1, '10.77.0.0/29');
    const all = await assignMany(h1, pool, 6);
    expect(all).toEqual(['10.77.0.1', '10.77.0.2', '10.77.0.3', '10.77.0.4', '10.77.0.5', '10.77.0.6']);
    for (const address of ['10.77.0.4', '10.77.0.2', '10.77.0.6']) await releaseAddress(h1, pool, address);
    expect(await assignMany(h1, pool, 3)).toEqual(['10.77.0.4', '10.77.0.2', '10.77.0.6']);
  });

  it('costs one transaction and no reading, in a new block as in an own one', async () => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    const one = { transactions: 1, reads: 0 };
    expect(await cost(() => assignAddress(h1, pool))).toEqual(one);
    expect(await cost(() => assignAddress(h1, pool))).toEqual(one);
    expect(await cost(() => assignAddress(h1, pool, '10.77.200.1'))).toEqual(one);
    expect(await cost(() => releaseAddress(h1, pool, '10.77.200.1'))).toEqual(one);
  });

  it('costs every host one transaction, though all are starting containers', async () => {
    const pools = new Map([
      [h1, await poolOn(h1, '10.77.0.0/16')],
      [h2, await poolOn(h2, '10.77.0.0/16')],
    ]);
    for (const [on, pool] of pools) await assignAddress(on, pool);
    const starts = [...pools].flatMap(([on, pool]) =>
      Array.from({ length: 20 }, () => assignAddress(on, pool)),
    );
    const before = store.sent.length;
    expect(new Set(await Promise.all(starts)).size).toBe(40);
    expect(store.sent.length - before).toBe(40);
  });

  it('comes from blocks of the host, a new one when they are full', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/16');
    const pool2 = await poolOn(h2, '10.77.0.0/16');
    await assignAddress(h1, pool1);
    expect(await assignAddress(h2, pool2)).toBe('10.77.0.64');
    // All of a block but the spare ones, of which its owner has enough then.
    const assigned = await assignMany(h1, pool1, 47 + 64);
    expect(assigned.slice(45, 47)).toEqual(['10.77.0.47', '10.77.0.128']);
    expect(assigned.at(-1)).toBe('10.77.0.192');
    expect(await owners()).toEqual({
      '10.77.0.0/26': 'h1',
      '10.77.0.64/26': 'h2',
      '10.77.0.128/26': 'h1',
      '10.77.0.192/26': 'h1',
    });
  });

  it('comes from the range of its own request only', async () => {
    const all = await poolOn(h1, '10.77.0.0/24');
    const some = await poolOn(h1, '10.77.0.0/24', '10.77.0.96/30');
    expect(await assignAddress(h1, all)).toBe('10.77.0.1');
    expect(await assignMany(h1, some, 4)).toEqual(['10.77.0.96', '10.77.0.97', '10.77.0.98', '10.77.0.99']);
    await expect(assignAddress(h1, some)).rejects.toMatchObject({
      code: 'exhausted',
      message:
        'range 10.77.0.96/30 of subnet 10.77.0.0/24 is full: 4 of 4 addresses are in use; remove containers that are not needed, or make the network with a larger --ip-range',
    });
    expect(await assignAddress(h1, some, '10.77.0.200')).toBe('10.77.0.200');
  });

  it("is borrowed from another host's block when no block is left", async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/26');
    const pool2 = await poolOn(h2, '10.77.0.0/26');
    expect(await assignAddress(h1, pool1)).toBe('10.77.0.1');
    expect(await assignAddress(h2, pool2)).toBe('10.77.0.2');
    expect(await owners()).toEqual({ '10.77.0.0/26': 'h1' });
    expect((await assignments(h2)).map(({ address }) => address)).toEqual(['10.77.0.2']);
    await releaseAddress(h2, pool2, '10.77.0.2');
    expect(await assignMany(h1, pool1, 60)).not.toContain('10.77.0.2');
    expect(await assignAddress(h1, pool1)).toBe('10.77.0.2');
  });

  it.each([
    ['10.77.0.0/24', '10.77.0.2', '253 of 253'],
    ['10.77.0.0/28', '10.77.0.2', '13 of 13'],
    ['10.77.0.0/30', '10.77.0.2', '1 of 1'],
    ['10.77.0.0/31', '10.77.0.1', '1 of 1'],
    ['10.77.0.0/32', undefined, '0 of 0'],
    ['fd00::/120', 'fd00::2', '254 of 254'],
    ['fd00::/127', 'fd00::1', '1 of 1'],
    ['fd00::/128', undefined, '0 of 0'],
  ])('of %s runs out with a sentence', async (cidr, first, numbers) => {
    const pool = await poolOn(h1, cidr);
    await reserveGateway(h1, pool);
    const count = Number(numbers.split(' ')[0]);
    expect((await assignMany(h1, pool, count))[0]).toBe(first);
    await expect(assignAddress(h1, pool)).rejects.toMatchObject({
      code: 'exhausted',
      message: `subnet ${cidr} is full: ${numbers} addresses are in use; remove containers that are not needed, or make a network with a larger --subnet`,
    });
  });

  it.each(['10.0.0.0/8', 'fd00::/64', 'fd00::/48'])('of %s is found without a search', async (cidr) => {
    const pool = await poolOn(h1, cidr);
    const assigned = await assignMany(h1, pool, 130);
    expect(new Set(assigned).size).toBe(130);
  });
});

describe('an address that was given back', () => {
  const start = 1_700_000_000_000;
  let nowMs: number;
  let late: IpamHost;
  beforeEach(async () => {
    nowMs = start;
    late = await testHost(store, 'h3', { now: () => nowMs });
  });

  it('rests, while the host claims another block instead', async () => {
    const pool = await poolOn(late, '10.77.0.0/25');
    await assignMany(late, pool, 47);
    await releaseAddress(late, pool, '10.77.0.9');
    expect(await assignAddress(late, pool)).toBe('10.77.0.64');
    nowMs += 59_999;
    expect(await assignAddress(late, pool)).toBe('10.77.0.65');
    nowMs += 1;
    expect(await assignAddress(late, pool)).toBe('10.77.0.9');
  });

  it('rests, while one can be borrowed instead', async () => {
    const pool = await poolOn(late, '10.77.0.0/26');
    await assignMany(h1, await poolOn(h1, '10.77.0.0/26'), 5);
    expect(await assignAddress(late, pool)).toBe('10.77.0.6');
    await releaseAddress(late, pool, '10.77.0.6');
    expect(await assignAddress(late, pool)).toBe('10.77.0.7');
  });

  it('is had at once by who asks for it', async () => {
    const pool = await poolOn(late, '10.77.0.0/24');
    await assignMany(late, pool, 2);
    await releaseAddress(late, pool, '10.77.0.1');
    expect(await assignAddress(late, pool, '10.77.0.1')).toBe('10.77.0.1');
  });

  it('is had when there is no other: the one that has been free longest, in whosever block', async () => {
    const pool = await poolOn(late, '10.77.0.0/25');
    await assignMany(h1, await poolOn(h1, '10.77.0.0/25'), 1);
    await assignMany(late, pool, 125 - 16);
    for (const address of ['10.77.0.99', '10.77.0.2', '10.77.0.120']) {
      await releaseAddress(late, pool, address);
      nowMs += 1_000;
    }
    expect(await assignMany(late, pool, 3)).toEqual(['10.77.0.99', '10.77.0.2', '10.77.0.120']);
  });

  it('is the same container’s again, by its MAC, wherever it is started', async () => {
    const pool = await poolOn(late, '10.77.0.0/24');
    const mac = '02:00:00:00:00:07';
    await assignMany(late, pool, 3);
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.4');
    await releaseAddress(late, pool, '10.77.0.4');
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.4');
    await releaseAddress(late, pool, '10.77.0.4');
    expect(await assignAddress(late, pool, undefined, '02:00:00:00:00:08')).toBe('10.77.0.5');
    expect(await assignAddress(h1, await poolOn(h1, '10.77.0.0/24'), undefined, mac)).toBe('10.77.0.4');
  });

  it('is the same container’s again, by its MAC, if it has not been given back and no endpoint uses it', async () => {
    const pool = await poolOn(late, '10.77.0.0/24');
    const mac = '02:00:00:00:00:07';
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.1');
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.1');
    late.endpoints.add('10.77.0.1');
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.2');
    expect(await assignAddress(h1, await poolOn(h1, '10.77.0.0/24'), undefined, mac)).toBe('10.77.0.64');
  });

  it('is another’s after all, when that one asks for it; then the MAC gets any', async () => {
    const pool = await poolOn(late, '10.77.0.0/24');
    const mac = '02:00:00:00:00:07';
    const address = await assignAddress(late, pool, undefined, mac);
    await releaseAddress(late, pool, address);
    await assignAddress(late, pool, address);
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.2');
    await releaseAddress(late, pool, address);
    await releaseAddress(late, pool, '10.77.0.2');
    expect(await assignAddress(late, pool, undefined, mac)).toBe('10.77.0.2');
  });

  it('does not rest for longer because a clock was wrong', async () => {
    const pool = await poolOn(late, '10.77.0.0/25');
    nowMs += 3_600_000;
    await assignMany(late, pool, 47);
    await releaseAddress(late, pool, '10.77.0.9');
    nowMs = start;
    expect(await assignAddress(late, pool)).toBe('10.77.0.9');
  });
});

describe('a wanted address', () => {
  it.each([
    ['in an own block', '10.77.0.9', '10.77.0.0/26', 'h1'],
    ["in another host's block", '10.77.0.70', '10.77.0.64/26', 'h2'],
    ['in a block of nobody, which is claimed', '10.77.0.200', '10.77.0.192/26', 'h1'],
  ])('is given %s', async (_, wanted, block, owner) => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    await assignAddress(h1, pool);
    await assignAddress(h2, await poolOn(h2, '10.77.0.0/24'));
    expect(await assignAddress(h1, pool, wanted)).toBe(wanted);
    expect(await owners()).toMatchObject({ [block]: owner });
  });

  it('of an IPv6 pool may be written in any form', async () => {
    const pool = await poolOn(h1, 'fd00::/64');
    expect(await assignAddress(h1, pool, 'FD00:0::00:ABCD')).toBe('fd00::abcd');
  });

  it.each([
    [
      '10.77.0.0',
      'invalid',
      'is the network address of subnet 10.77.0.0/24: choose one from 10.77.0.1 to 10.77.0.254',
    ],
    [
      '10.77.0.255',
      'invalid',
      'is the broadcast address of subnet 10.77.0.0/24: choose one from 10.77.0.1 to 10.77.0.254',
    ],
    ['10.78.0.1', 'invalid', 'is not in subnet 10.77.0.0/24: choose one from 10.77.0.1 to 10.77.0.254'],
    ['fd00::1', 'invalid', 'is not in subnet 10.77.0.0/24: choose one from 10.77.0.1 to 10.77.0.254'],
    ['10.77.0.1', 'conflict', 'is the gateway of subnet 10.77.0.0/24: choose another'],
    ['10.77.0.5', 'conflict', 'is set aside in subnet 10.77.0.0/24 (--aux-address): choose another'],
    [
      '10.77.0.9',
      'conflict',
      'is in use on host h2.example: choose another, or remove the container that has it',
    ],
    [
      '10.77.0.8',
      'conflict',
      'is in use on host h1.example: choose another, or remove the container that has it',
    ],
  ])('is refused: %s', async (wanted, code, reason) => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    await reserveGateway(h1, pool);
    await reserveAddress(h1, pool, '10.77.0.5');
    await assignAddress(h2, await poolOn(h2, '10.77.0.0/24'), '10.77.0.9');
    h1.endpoints.add(await assignAddress(h1, pool, '10.77.0.8'));
    await expect(assignAddress(h1, pool, wanted)).rejects.toMatchObject({
      code,
      message: `address ${wanted} ${reason}`,
    });
  });

  it('that this host holds for no endpoint is adopted, as a new assignment', async () => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    await assignAddress(h1, pool, '10.77.0.9');
    const [before] = await assignments(h1);
    expect(await assignAddress(h1, pool, '10.77.0.9')).toBe('10.77.0.9');
    const [after] = await assignments(h1);
    expect(after?.operation).not.toBe(before?.operation);
    await releaseAddress(h1, pool, '10.77.0.9');
    expect(await assignments(h1)).toEqual([]);
  });

  it('goes to one of two hosts that want it at the same moment', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/24');
    const pool2 = await poolOn(h2, '10.77.0.0/24');
    const answers = await Promise.allSettled([
      assignAddress(h1, pool1, '10.77.0.9'),
      assignAddress(h2, pool2, '10.77.0.9'),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('giving an address back', () => {
  it.each([
    ['another host holds', '10.77.0.9'],
    ['nobody holds', '10.77.0.77'],
    ['is not of the pool', '10.99.0.1'],
    ['is of the other family', 'fd00::1'],
  ])('that %s changes nothing', async (_, address) => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    await assignAddress(h2, await poolOn(h2, '10.77.0.0/24'), '10.77.0.9');
    const { revision } = store;
    await releaseAddress(h1, pool, address);
    expect(store.revision).toBe(revision);
  });

  it('of an unknown pool changes nothing', async () => {
    await expect(releaseAddress(h1, 'x@10.77.0.0/24', '10.77.0.9')).resolves.toBeUndefined();
    await expect(releaseAddress(h1, 'nonsense', '10.77.0.9')).resolves.toBeUndefined();
  });

  it('late does not take it from the endpoint that has it now', async () => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    h1.endpoints.add(await assignAddress(h1, pool));
    await releaseAddress(h1, pool, '10.77.0.1');
    expect(await assignments(h1)).toHaveLength(1);
  });

  it('when it was found to be held for nobody, spares the next request that got it', async () => {
    const pool = await poolOn(h1, '10.77.0.0/30');
    await assignMany(h1, pool, 2);
    const [found] = await assignments(h1);
    if (found === undefined) throw new Error('nothing is held');
    await releaseAddress(h1, pool, found.address);
    expect(await assignAddress(h1, pool)).toBe(found.address);
    await releaseHeld(h1, found);
    expect(await assignments(h1)).toHaveLength(2);
    for (const held of await assignments(h1)) await releaseHeld(h1, held);
    expect(await assignments(h1)).toEqual([]);
  });
});

it('all that a host holds is told with its pool, and since when', async () => {
  const pool4 = await poolOn(h1, '10.77.0.0/24');
  const pool6 = await poolOn(h1, 'fd00::/64');
  await assignAddress(h1, pool4, '10.77.0.130');
  await assignAddress(h1, pool6);
  await assignAddress(h2, await poolOn(h2, '10.77.0.0/24'));
  const sinceMs = 1_700_000_000_000;
  expect((await assignments(h1)).map(({ operation, ...rest }) => rest)).toEqual([
    { pool: '10.77.0.0/24', address: '10.77.0.130', sinceMs },
    { pool: 'fd00::/64', address: 'fd00::1', sinceMs },
  ]);
});

describe('behind the news', () => {
  /** A host whose mirror stays as it is now, save for its own commits. */
  async function staleHost(id: string): Promise<IpamHost> {
    const made = await testHost(store, id);
    vi.spyOn(made.watcher.mirror, 'apply').mockImplementation(() => {});
    return made;
  }

  it('a host finds free blocks all the same', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/24');
    const stale = await staleHost('h3');
    const pool3 = await poolOn(stale, '10.77.0.0/24');
    await assignMany(h1, pool1, 130);
    expect(await assignAddress(stale, pool3)).toBe('10.77.0.192');
  });

  it('a host refuses nobody for what is over', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/30');
    await assignMany(h1, pool1, 2);
    const stale = await staleHost('h3');
    const pool3 = await poolOn(stale, '10.77.0.0/30');
    await releaseAddress(h1, pool1, '10.77.0.2');
    expect(await assignAddress(stale, pool3)).toBe('10.77.0.2');
    await releaseAddress(h1, pool1, '10.77.0.1');
    expect(await assignAddress(stale, pool3, '10.77.0.1')).toBe('10.77.0.1');
  });

  it('a host does not give out a gateway that it has not heard of', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/24');
    const stale = await staleHost('h3');
    const pool3 = await poolOn(stale, '10.77.0.0/24');
    await reserveGateway(h1, pool1);
    expect(await assignAddress(stale, pool3)).toBe('10.77.0.2');
  });

  it('a host whose pool is gone says so', async () => {
    const stale = await staleHost('h3');
    const pool3 = await poolOn(stale, '10.77.0.0/24');
    await store.transact({ conditions: [], writes: [{ deletePrefix: '/weft/v1/' }] });
    await expect(assignAddress(stale, pool3)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('faults of the store', () => {
  it.each([1, 2, 4])('%d lost answers cost no address', async (answers) => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    store.loseAnswers(answers);
    expect(await assignAddress(h1, pool)).toBe('10.77.0.1');
    store.loseAnswers(answers);
    expect(await assignAddress(h1, pool)).toBe('10.77.0.2');
    store.loseAnswers(answers);
    await releaseAddress(h1, pool, '10.77.0.1');
    expect((await assignments(h1)).map(({ address }) => address)).toEqual(['10.77.0.2']);
  });

  it('away, it is said, and nothing is promised', async () => {
    const pool = await poolOn(h1, '10.77.0.0/24');
    store.stop();
    await expect(assignAddress(h1, pool)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(releaseAddress(h1, pool, '10.77.0.9')).rejects.toMatchObject({ code: 'unavailable' });
    store.start();
    expect(await assignAddress(h1, pool)).toBe('10.77.0.1');
  });

  it('a block that cannot be read is left alone', async () => {
    const pool = await poolOn(h1, '10.77.0.0/25');
    const value = '{"v":99}';
    const put = '/weft/v1/unwatched/blocks/10.77.0.0-25/10.77.0.0-26';
    const [_, claim] = written(
      h1.keys,
      newBlock({ pool: '10.77.0.0/25', cidr: '10.77.0.0/26', owner: 'h2' }),
    );
    store.writeElsewhere([{ put, value }, ...(claim === undefined ? [] : [claim])]);
    expect(await assignAddress(h1, pool)).toBe('10.77.0.64');
    await expect(assignAddress(h1, pool, '10.77.0.9')).rejects.toMatchObject({
      code: 'conflict',
      message:
        'address 10.77.0.9 cannot be had, because the record of block 10.77.0.0/26 is damaged or of a newer weft: choose another, or run the same weft on all hosts',
    });
    await releaseAddress(h1, pool, '10.77.0.9');
    await assignMany(h1, pool, 62);
    await expect(assignAddress(h1, pool)).rejects.toThrow(
      'subnet 10.77.0.0/25 is full: all addresses are in use, or lie in 1 blocks whose records cannot be read;',
    );
    expect((await store.get(put))?.value).toBe(value);
  });
});

it('hosts that all begin at once are apart after a few rounds', async () => {
  const many = await Promise.all(
    Array.from({ length: 40 }, (_, index) => testHost(store, `m${index}`, { random: lcg(index) })),
  );
  const pools = await Promise.all(many.map((on) => poolOn(on, '10.64.0.0/16')));
  const before = store.sent.length;
  const addresses = await Promise.all(many.map((on, index) => assignAddress(on, pools[index] ?? '')));
  expect(new Set(addresses).size).toBe(40);
  expect(new Set(Object.values(await owners())).size).toBe(40);
  // One claim at a time would take 40 + 39 + 38 + ... = 820.
  expect(store.sent.length - before).toBeLessThan(200);
});

/** Numbers in [0, 1), the same in every run. */
function lcg(seed: number): () => number {
  let state = seed * 7919 + 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
