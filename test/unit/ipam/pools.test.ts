import { beforeEach, describe, expect, it } from 'vitest';
import { assignAddress, assignments, releaseAddress } from '../../../src/ipam/addresses.ts';
import { type PoolRequest, releasePool, requestPool } from '../../../src/ipam/pools.ts';
import { reserveGateway } from '../../../src/ipam/reservations.ts';
import { parseInterface, parsePrefix, prefixOf, printPrefix } from '../../../src/model/address.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { testHost } from './test-host.ts';

let store: FakeStore;
let h1: IpamHost;
let h2: IpamHost;

beforeEach(async () => {
  store = new FakeStore();
  h1 = await testHost(store, 'h1');
  h2 = await testHost(store, 'h2');
});

const ask = (on: IpamHost, request: Partial<PoolRequest> = {}) =>
  requestPool(on, { options: {}, family: 4, ...request });
const cidrs = (pools: readonly { readonly cidr: string }[]) => pools.map(({ cidr }) => cidr).sort();
const keysInStore = async () => (await store.list('')).entries.map(({ key }) => key);

describe('requesting a pool', () => {
  it('creates it in one transaction, and names it by reference and subnet', async () => {
    expect(await ask(h1, { pool: '10.77.0.0/16' })).toEqual({
      poolId: 'h1x1@10.77.0.0/16',
      cidr: '10.77.0.0/16',
    });
    expect(store.sent).toHaveLength(1);
    expect(await keysInStore()).toEqual([
      '/weft/v1/pools/10.77.0.0-16',
      '/weft/v1/pools/10.77.0.0-16/references/h1x1',
    ]);
  });

  it('joins the same subnet, on this host and on others, each by an id of its own', async () => {
    const pools = [
      await ask(h1, { pool: '10.77.0.0/16' }),
      await ask(h1, { pool: '10.77.0.0/16' }),
      await ask(h2, { pool: '10.77.0.0/16' }),
    ];
    expect(new Set(pools.map(({ poolId }) => poolId)).size).toBe(3);
    expect(new Set(cidrs(pools))).toEqual(new Set(['10.77.0.0/16']));
  });

  it('again with the same reference answers the same and changes nothing', async () => {
    const request = { pool: '10.77.0.0/16', options: {}, family: 4 } as const;
    const first = await requestPool(h1, request, 'mine');
    const { revision } = store;
    expect(await requestPool(h1, request, 'mine')).toEqual(first);
    expect(store.revision).toBe(revision);
  });

  it('takes an IPv6 subnet as it takes an IPv4 one', async () => {
    expect((await ask(h1, { pool: 'fd00::/64', family: 6 })).cidr).toBe('fd00::/64');
  });

  it.each<[string, Partial<PoolRequest>, string, string]>([
    [
      'overlaps that of a network',
      { pool: '10.1.2.0/24' },
      'conflict',
      'subnet 10.1.2.0/24 overlaps 10.1.0.0/16 of network "blue": choose another --subnet, or --subnet 10.1.0.0/16 to join that network; a vxlan network can have it all the same, with --ipam-opt weft.network=NAME and -o weft.network=NAME',
    ],
    [
      'overlaps one in use',
      { pool: '10.0.0.0/8' },
      'conflict',
      'subnet 10.0.0.0/8 overlaps 10.1.0.0/16 of network "blue": choose another --subnet, or --subnet 10.1.0.0/16 to join that network; a vxlan network can have it all the same, with --ipam-opt weft.network=NAME and -o weft.network=NAME',
    ],
    [
      'is none',
      { pool: '10.9.0.7/16' },
      'invalid',
      '"10.9.0.7/16" is not a subnet: did you mean 10.9.0.0/16?',
    ],
    [
      'is loopback',
      { pool: '127.0.0.0/16' },
      'invalid',
      'subnet 127.0.0.0/16 cannot be used, because 127.0.0.0/8 is for loopback: choose another --subnet',
    ],
    [
      'does not contain the range',
      { pool: '10.9.0.0/16', range: '10.8.0.0/24' },
      'invalid',
      '--ip-range 10.8.0.0/24 is not inside subnet 10.9.0.0/16: choose a range that is, and name the subnet by --subnet',
    ],
    [
      'has options that do not exist',
      { options: { 'weft.netwrok': 'blue' } },
      'invalid',
      'there is no option weft.netwrok: did you mean weft.network?',
    ],
    [
      'has options that are for the network',
      { options: { 'weft.mtu': '1400' } },
      'invalid',
      'there is no option weft.mtu: the options are weft.network, weft.reserve',
    ],
  ])('is refused when the subnet %s', async (_, request, code, message) => {
    await ask(h2, { pool: '10.1.0.0/16', options: { 'weft.network': 'blue' } });
    const before = store.revision;
    await expect(ask(h1, request)).rejects.toMatchObject({ code, message });
    expect(store.revision).toBe(before);
  });

  it("leaves others' options alone", async () => {
    await expect(ask(h1, { options: { foo: 'bar' } })).resolves.toMatchObject({ cidr: '10.160.0.0/20' });
  });
});

describe('an automatic subnet', () => {
  it('is another one each time, of either family', async () => {
    const pools = [await ask(h1), await ask(h2), await ask(h1, { family: 6 }), await ask(h2, { family: 6 })];
    expect(cidrs(pools)).toEqual(['10.160.0.0/20', '10.160.16.0/20', 'fd77:1:2:1::/64', 'fd77:1:2::/64']);
  });

  it("avoids this host's routes", async () => {
    h1.otherRoutes.push(parsePrefix('10.160.0.0/12'));
    expect((await ask(h1)).cidr).toBe('10.176.0.0/20');
  });

  it('avoids what other hosts have told of theirs, and what is excluded', async () => {
    const excluded = [parsePrefix('10.176.0.0/20')];
    const h3 = await testHost(store, 'h3', { excluded });
    h3.routesElsewhere().push({ prefix: parsePrefix('10.160.0.0/12'), host: 'h2' });
    expect((await ask(h3)).cidr).toBe('10.176.16.0/20');
    expect((await ask(h3, { pool: '10.176.0.0/20' })).cidr).toBe('10.176.0.0/20');
  });

  it('is never the same on hosts that ask at the same moment', async () => {
    const pools = await Promise.all([ask(h1), ask(h2), ask(h1), ask(h2), ask(h2)]);
    expect(new Set(cidrs(pools)).size).toBe(5);
  });

  it('runs out with a sentence', async () => {
    const small = await testHost(store, 'h3', {
      automatic: { 4: { range: parsePrefix('10.5.0.0/23'), length: 24 } },
    });
    await ask(small);
    await ask(small);
    await expect(ask(small)).rejects.toMatchObject({
      code: 'exhausted',
      message: expect.stringContaining(
        "no /24 subnet is left in the cluster's range 10.5.0.0/23: 2 subnets in use",
      ),
    });
  });
});

describe('the range of IPv6 subnets, where none is set', () => {
  const automatic = { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } };
  const hostWith = (id: string, random: number) => testHost(store, id, { automatic, random: () => random });

  it('is drawn at random from the unique local ones', async () => {
    expect((await ask(await hostWith('low', 0), { family: 6 })).cidr).toBe('fd00::/64');
    store = new FakeStore();
    const high = await ask(await hostWith('high', 1 - 2 ** -52), { family: 6 });
    expect(high.cidr).toBe('fdff:ffff:ffff::/64');
  });

  it('is the same on all hosts, those that draw at the same moment too', async () => {
    const [h3, h4] = [await hostWith('h3', 0.25), await hostWith('h4', 0.75)];
    const pools = await Promise.all([ask(h3, { family: 6 }), ask(h4, { family: 6 })]);
    const subnets = cidrs([...pools, await ask(h4, { family: 6 })]);
    const ranges = subnets.map((cidr) => printPrefix(prefixOf(parseInterface(cidr).address, 48)));
    expect(new Set(subnets).size).toBe(3);
    expect(new Set(ranges).size).toBe(1);
  });

  it('is not drawn for who names a subnet, or needs none of it', async () => {
    const h3 = await hostWith('h3', 0.25);
    await ask(h3);
    await ask(h3, { family: 6, pool: 'fd77::/64' });
    expect(await keysInStore()).not.toContain('/weft/v1/config');
  });

  it('gives way to the one that is set', async () => {
    await ask(await hostWith('h3', 0.25), { family: 6 });
    expect((await ask(h1, { family: 6 })).cidr).toBe('fd77:1:2::/64');
  });
});

describe('two hosts at the same moment', () => {
  it('never create subnets that overlap', async () => {
    const answers = await Promise.allSettled([
      ask(h1, { pool: '10.77.0.0/16' }),
      ask(h2, { pool: '10.77.4.0/24' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('make one subnet for the network that both name', async () => {
    const options = { 'weft.network': 'blue' };
    const pools = await Promise.all([ask(h1, { options }), ask(h2, { options })]);
    expect(cidrs(pools)).toEqual(['10.160.0.0/20', '10.160.0.0/20']);
  });

  it('each keep a subnet that one of them gives back', async () => {
    const { poolId } = await ask(h1, { pool: '10.77.0.0/16' });
    const [, joined] = await Promise.all([releasePool(h1, poolId), ask(h2, { pool: '10.77.0.0/16' })]);
    await expect(assignAddress(h2, joined.poolId)).resolves.toBe('10.77.0.1');
  });

  it('that both give it back leave nothing', async () => {
    const ids = await Promise.all(
      [h1, h2].map(async (on) => (await ask(on, { pool: '10.77.0.0/16' })).poolId),
    );
    await Promise.all([releasePool(h1, ids[0] ?? ''), releasePool(h2, ids[1] ?? '')]);
    expect(await keysInStore()).toEqual([]);
  });
});

describe('joining a network by its name', () => {
  it('answers the subnets it has', async () => {
    await ask(h1, { pool: '10.9.0.0/24' });
    await ask(h1, { pool: 'fd00:9::/64', family: 6 });
    const pools = ['10.9.0.0/24', 'fd00:9::/64'];
    h2.networks.set('blue', { v: 1, key: 'blue', fabric: 'routed', internal: false, pools });
    const options = { 'weft.network': 'blue' };
    const joined = [await ask(h2, { options }), await ask(h2, { options, family: 6 })];
    expect(cidrs(joined)).toEqual(pools);
  });

  it('takes a range inside its subnet, and no other', async () => {
    await ask(h1, { pool: '10.9.0.0/24', options: { 'weft.network': 'blue' } });
    const options = { 'weft.network': 'blue' };
    await expect(ask(h2, { options, range: '10.8.0.0/28' })).rejects.toMatchObject({ code: 'invalid' });
    const { poolId } = await ask(h2, { options, range: '10.9.0.64/28' });
    expect(await assignAddress(h2, poolId)).toBe('10.9.0.64');
  });
});

describe('a subnet that overlaps others', () => {
  const named = (network: string) => ({ 'weft.network': network });
  const cidr = '10.1.0.0/16';

  it('is the own one of the network that is named', async () => {
    const blue = await ask(h1, { pool: cidr, options: named('blue') });
    const green = await ask(h1, { pool: cidr, options: named('green') });
    const red = await ask(h1, { pool: '10.1.2.0/24', options: named('red') });
    expect([blue.cidr, green.cidr, red.cidr]).toEqual([cidr, cidr, '10.1.2.0/24']);
    const pools = [blue, green, red].map(({ poolId }) => poolId);
    expect(pools).toEqual(['h1x1@10.1.0.0/16', 'h1x2@10.1.0.0/16@green', 'h1x3@10.1.2.0/24@red']);
    for (const poolId of pools) await reserveGateway(h1, poolId);
    const given = [];
    for (const poolId of pools) given.push(await assignAddress(h1, poolId));
    expect(given).toEqual(['10.1.0.2', '10.1.0.2', '10.1.2.2']);
    expect((await assignments(h1)).map(({ pool }) => pool).sort()).toEqual([
      cidr,
      '10.1.0.0/16@green',
      '10.1.2.0/24@red',
    ]);
  });

  it('is the same on all hosts that name the network, with or without the subnet', async () => {
    await ask(h1, { pool: cidr, options: named('blue') });
    const made = await ask(h1, { pool: cidr, options: named('green') });
    const joined = [
      await ask(h2, { pool: cidr, options: named('green') }),
      await ask(h2, { options: named('green') }),
    ];
    expect(joined.map(({ poolId }) => poolId)).toEqual(['h2x1@10.1.0.0/16@green', 'h2x2@10.1.0.0/16@green']);
    await assignAddress(h1, made.poolId, '10.1.0.9');
    await expect(assignAddress(h2, joined[0]?.poolId ?? '', '10.1.0.9')).rejects.toThrow('in use on host h1');
  });

  it('stays that network’s when the others are gone, and is in the way of those that name none', async () => {
    const { poolId } = await ask(h1, { pool: cidr, options: named('blue') });
    await ask(h1, { pool: cidr, options: named('green') });
    await releasePool(h1, poolId);
    expect((await ask(h2, { pool: cidr, options: named('green') })).poolId).toBe('h2x1@10.1.0.0/16@green');
    await expect(ask(h2, { pool: cidr })).rejects.toThrow('overlaps 10.1.0.0/16 of network "green"');
    expect((await ask(h2)).cidr).toBe('10.160.0.0/20');
  });

  it('goes with its last reference, and leaves the others', async () => {
    const blue = await ask(h1, { pool: cidr, options: named('blue') });
    const green = await ask(h1, { pool: cidr, options: named('green') });
    for (const { poolId } of [blue, green]) await assignAddress(h1, poolId);
    await releasePool(h1, green.poolId);
    expect((await assignments(h1)).map(({ pool }) => pool)).toEqual([cidr]);
    await releaseAddress(h1, blue.poolId, '10.1.0.1');
    await releasePool(h1, blue.poolId);
    expect(await keysInStore()).toEqual([]);
  });
});

describe('giving a pool back', () => {
  it('leaves it to those who still refer to it', async () => {
    const first = await ask(h1, { pool: '10.77.0.0/16' });
    const second = await ask(h2, { pool: '10.77.0.0/16' });
    await assignAddress(h2, second.poolId);
    await releasePool(h1, first.poolId);
    expect(await assignAddress(h2, second.poolId)).toBe('10.77.0.2');
  });

  it('takes gateway, blocks and addresses along with the last reference, in one transaction', async () => {
    const { poolId } = await ask(h1, { pool: '10.77.0.0/16' });
    await reserveGateway(h1, poolId);
    await assignAddress(h1, poolId);
    const before = store.sent.length;
    await releasePool(h1, poolId);
    expect(store.sent.length - before).toBe(1);
    expect(await keysInStore()).toEqual([]);
    await expect(assignAddress(h1, poolId)).rejects.toMatchObject({
      code: 'not-found',
      message:
        'subnet 10.77.0.0/16 is not in use in this cluster any more: remove the network and create it again',
    });
  });

  it.each(['', 'nonsense', 'h1x9@10.77.0.0/16', '@10.77.0.0/16', 'x@y'])(
    'succeeds for "%s", which does not exist',
    async (poolId) => {
      await expect(releasePool(h1, poolId)).resolves.toBeUndefined();
    },
  );

  it('twice succeeds', async () => {
    const { poolId } = await ask(h1, { pool: '10.77.0.0/16' });
    await releasePool(h1, poolId);
    await expect(releasePool(h1, poolId)).resolves.toBeUndefined();
  });
});

describe('when the answer of the store is lost', () => {
  it.each([1, 2, 5])('%d times, there is one pool with one reference', async (answers) => {
    store.loseAnswers(answers);
    const { poolId, cidr } = await ask(h1);
    expect(cidr).toBe('10.160.0.0/20');
    expect(await keysInStore()).toHaveLength(2);
    store.loseAnswers(answers);
    await releasePool(h1, poolId);
    expect(await keysInStore()).toEqual([]);
  });
});

it('a pool whose record cannot be read is in the way of others, and nothing else', async () => {
  const value = '{"v":99}';
  await store.transact({ conditions: [], writes: [{ put: '/weft/v1/pools/10.160.0.0-20', value }] });
  expect((await ask(h1)).cidr).toBe('10.160.16.0/20');
  await expect(ask(h1, { pool: '10.160.0.0/24' })).rejects.toMatchObject({ code: 'conflict' });
  await expect(ask(h1, { pool: '10.160.0.0/20' })).rejects.toMatchObject({
    code: 'conflict',
    message:
      'subnet 10.160.0.0/20 cannot be used, because its record is damaged or of a newer weft: choose another --subnet, or run the same weft on all hosts',
  });
});
