import { beforeEach, describe, expect, it } from 'vitest';
import { assignAddress, releaseAddress } from '../../../src/ipam/addresses.ts';
import { requestPool } from '../../../src/ipam/pools.ts';
import { reserveAddress, reserveGateway } from '../../../src/ipam/reservations.ts';
import type { IpamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';
import { poolOn, testHost } from './test-host.ts';

let store: FakeStore;
let h1: IpamHost;
let h2: IpamHost;

beforeEach(async () => {
  store = new FakeStore();
  h1 = await testHost(store, 'h1');
  h2 = await testHost(store, 'h2');
});

describe('the gateway', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.1'],
    ['10.77.3.0/24', '10.77.3.1'],
    ['10.77.0.8/29', '10.77.0.9'],
    ['10.77.0.8/30', '10.77.0.9'],
    ['10.77.0.8/31', '10.77.0.8'],
    ['10.77.0.8/32', '10.77.0.8'],
    ['fd00:1:2::/48', 'fd00:1:2::1'],
    ['fd00::/64', 'fd00::1'],
    ['fd00::2/127', 'fd00::2'],
    ['fd00::2/128', 'fd00::2'],
  ])('of %s is %s unless the user wants another', async (cidr, gateway) => {
    expect(await reserveGateway(h1, await poolOn(h1, cidr))).toBe(gateway);
  });

  it('is the same on all hosts, however often they ask', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/16');
    const pool2 = await poolOn(h2, '10.77.0.0/16');
    const gateways = await Promise.all([
      reserveGateway(h1, pool1, '10.77.9.9'),
      reserveGateway(h1, pool1),
      reserveGateway(h1, pool1, '10.77.9.9'),
    ]);
    gateways.push(await reserveGateway(h2, pool2), await reserveGateway(h2, pool2, '10.77.9.9'));
    expect(new Set(gateways)).toEqual(new Set(['10.77.9.9']));
  });

  it('is decided once when two hosts ask at the same moment', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/16');
    const pool2 = await poolOn(h2, '10.77.0.0/16');
    const [one, two] = await Promise.all([reserveGateway(h1, pool1), reserveGateway(h2, pool2)]);
    expect(one).toBe(two);
  });

  it('is never given to a container, and is no address to release', async () => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    await reserveGateway(h1, pool);
    await releaseAddress(h1, pool, '10.77.0.1');
    expect(await assignAddress(h1, pool)).toBe('10.77.0.2');
    await expect(assignAddress(h1, pool, '10.77.0.1')).rejects.toMatchObject({
      code: 'conflict',
      message: 'address 10.77.0.1 is the gateway of subnet 10.77.0.0/16: choose another',
    });
  });

  it('is the next address when a container has the first', async () => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    await assignAddress(h1, pool);
    expect(await reserveGateway(h1, pool)).toBe('10.77.0.2');
  });

  it('must be chosen by hand when the first block is full', async () => {
    const pool = await poolOn(h1, '10.77.0.8/30');
    await assignAddress(h1, pool);
    await assignAddress(h1, pool);
    await expect(reserveGateway(h1, pool)).rejects.toMatchObject({
      code: 'exhausted',
      message:
        'subnet 10.77.0.8/30 has no gateway, and no address is free for it in its first block 10.77.0.8/30: choose one by --gateway',
    });
  });

  it.each([
    [
      '10.77.0.7',
      'conflict',
      'subnet 10.77.0.0/16 has gateway 10.77.0.1 already, so it cannot be 10.77.0.7: use --gateway 10.77.0.1, or leave --gateway out',
    ],
    ['gateway', 'invalid', '"gateway" is not an IP address'],
  ])('cannot become %s', async (wanted, code, message) => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    await reserveGateway(h1, pool);
    await expect(reserveGateway(h1, pool, wanted)).rejects.toMatchObject({ code, message });
  });

  it.each([
    [
      '10.77.0.0',
      'invalid',
      'address 10.77.0.0 is the network address of subnet 10.77.0.0/16: choose one from 10.77.0.1 to 10.77.255.254',
    ],
    [
      '10.78.0.1',
      'invalid',
      'address 10.78.0.1 is not in subnet 10.77.0.0/16: choose one from 10.77.0.1 to 10.77.255.254',
    ],
    [
      '10.77.0.1',
      'conflict',
      'address 10.77.0.1 is in use on host h2.example: choose another, or remove the container that has it',
    ],
    [
      '10.77.0.9',
      'conflict',
      'address 10.77.0.9 is set aside in subnet 10.77.0.0/16 (--aux-address), so it cannot be the gateway: choose another',
    ],
  ])('cannot be %s', async (wanted, code, message) => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    await assignAddress(h2, await poolOn(h2, '10.77.0.0/16'), '10.77.0.1');
    await reserveAddress(h1, pool, '10.77.0.9');
    await expect(reserveGateway(h1, pool, wanted)).rejects.toMatchObject({ code, message });
  });
});

describe('an address set aside', () => {
  it('is never given to a container by itself, and can be set aside by every host', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/30');
    const pool2 = await poolOn(h2, '10.77.0.0/30');
    expect(await reserveAddress(h1, pool1, '10.77.0.1')).toBe('10.77.0.1');
    expect(await reserveAddress(h2, pool2, '10.77.0.1')).toBe('10.77.0.1');
    expect(await assignAddress(h2, pool2)).toBe('10.77.0.2');
    await expect(assignAddress(h2, pool2)).rejects.toMatchObject({ code: 'exhausted' });
  });

  it.each([
    [
      '10.77.0.1',
      'conflict',
      'address 10.77.0.1 is the gateway of subnet 10.77.0.0/16, so it cannot be an --aux-address: choose another',
    ],
    [
      '10.77.0.2',
      'conflict',
      'address 10.77.0.2 is in use on host h2.example: choose another, or remove the container that has it',
    ],
    [
      '10.77.255.255',
      'invalid',
      'address 10.77.255.255 is the broadcast address of subnet 10.77.0.0/16: choose one from 10.77.0.1 to 10.77.255.254',
    ],
  ])('cannot be %s', async (wanted, code, message) => {
    const pool = await poolOn(h1, '10.77.0.0/16');
    await reserveGateway(h1, pool);
    await assignAddress(h2, await poolOn(h2, '10.77.0.0/16'));
    await expect(reserveAddress(h1, pool, wanted)).rejects.toMatchObject({ code, message });
  });

  it('is never one that a container gets at the same moment', async () => {
    const pool1 = await poolOn(h1, '10.77.0.0/16');
    const pool2 = await poolOn(h2, '10.77.0.0/16');
    const answers = await Promise.allSettled([
      reserveAddress(h1, pool1, '10.77.0.1'),
      assignAddress(h2, pool2, '10.77.0.1'),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('addresses reserved by name', () => {
  const reserve = (host: IpamHost, pool: string, text: string) =>
    requestPool(host, { pool, options: { 'weft.reserve': text }, family: pool.includes(':') ? 6 : 4 });

  it('are no container’s by themselves on any host, and anybody’s who asks for them', async () => {
    const { poolId } = await reserve(h1, '10.77.0.0/29', 'web=10.77.0.1,db=10.77.0.3');
    const other = await poolOn(h2, '10.77.0.0/29');
    const given = [];
    for (let times = 0; times < 4; times += 1) given.push(await assignAddress(h2, other));
    expect(given).toEqual(['10.77.0.2', '10.77.0.4', '10.77.0.5', '10.77.0.6']);
    await expect(assignAddress(h2, other)).rejects.toMatchObject({ code: 'exhausted' });
    expect(await assignAddress(h1, poolId, '10.77.0.3')).toBe('10.77.0.3');
    await releaseAddress(h1, poolId, '10.77.0.3');
    await expect(assignAddress(h2, other)).rejects.toMatchObject({ code: 'exhausted' });
    expect(await assignAddress(h2, other, '10.77.0.3')).toBe('10.77.0.3');
  });

  it('are neither the gateway nor set aside', async () => {
    const { poolId } = await reserve(h1, '10.77.0.0/24', 'web=10.77.0.1');
    const sentence =
      'address 10.77.0.1 of subnet 10.77.0.0/24 is reserved for web (weft.reserve), so it cannot be';
    await expect(reserveGateway(h1, poolId, '10.77.0.1')).rejects.toThrow(sentence);
    await expect(reserveAddress(h1, poolId, '10.77.0.1')).rejects.toThrow(sentence);
    expect(await reserveGateway(h1, poolId)).toBe('10.77.0.2');
  });

  it('are of the subnet in which they lie, of each that the option is told with', async () => {
    const text = 'web=10.77.0.9,web=fd77::9';
    const six = await reserve(h1, 'fd77::/64', text);
    const four = await reserve(h1, '10.77.0.0/24', text);
    await expect(reserveGateway(h1, six.poolId, 'fd77::9')).rejects.toThrow('is reserved for web');
    await expect(reserveGateway(h1, four.poolId, '10.77.0.9')).rejects.toThrow('is reserved for web');
  });

  it('are the same on all hosts', async () => {
    await reserve(h1, '10.77.0.0/24', 'web=10.77.0.9,db=10.77.0.8');
    await reserve(h2, '10.77.0.0/24', 'db=10.77.0.8,web=10.77.0.9');
    await expect(reserve(h2, '10.77.0.0/24', 'web=10.77.0.7')).rejects.toMatchObject({
      code: 'conflict',
      message:
        'subnet 10.77.0.0/24 is in use with weft.reserve=web=10.77.0.9,db=10.77.0.8, not web=10.77.0.7: give it the same, or leave it out',
    });
  });

  it.each([
    ['web', 'must be a list like web=10.77.0.10,db=10.77.0.11'],
    ['web=', 'must be a list like'],
    ['=10.77.0.9', 'must be a list like'],
    ['web=10.77.0.999', '"10.77.0.999" is not an IP address'],
    ['web=10.77.0.9,db=10.77.0.9', 'names 10.77.0.9 twice'],
    ['web=10.77.0.0', 'is the network address of subnet 10.77.0.0/24'],
  ])('cannot be %s', async (text, sentence) => {
    await expect(reserve(h1, '10.77.0.0/24', text)).rejects.toThrow(sentence);
  });
});

it('a pool that does not exist has neither', async () => {
  const sentence =
    'subnet 10.77.0.0/16 is not in use in this cluster any more: remove the network and create it again';
  await expect(reserveGateway(h1, 'x@10.77.0.0/16')).rejects.toThrow(sentence);
  await expect(reserveAddress(h1, 'x@10.77.0.0/16', '10.77.0.1')).rejects.toThrow(sentence);
  await expect(reserveGateway(h1, 'nonsense')).rejects.toMatchObject({ code: 'not-found' });
});

it('when the answer of the store is lost, both hold', async () => {
  const pool = await poolOn(h1, '10.77.0.0/16');
  store.loseAnswers(2);
  expect(await reserveGateway(h1, pool)).toBe('10.77.0.1');
  store.loseAnswers(2);
  expect(await reserveAddress(h1, pool, '10.77.0.2')).toBe('10.77.0.2');
  expect(await assignAddress(h1, pool)).toBe('10.77.0.3');
});
