/**
 * What Docker is promised of every call (`src/agent/calls.ts`), whoever answers: the suite runs over the agent,
 * and over the fake that stands in for it where Docker's side is tested.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AddressCalls, CreateEndpoint, CreateNetwork, NetworkCalls } from '../../src/agent/calls.ts';

export interface CallsBench {
  readonly network: NetworkCalls;
  readonly addresses: AddressCalls;
  close(): Promise<void>;
}

export function agentCallsSuite(name: string, open: () => Promise<CallsBench>): void {
  describe(name, () => {
    let bench: CallsBench;
    let network: NetworkCalls;
    let addresses: AddressCalls;
    beforeEach(async () => {
      bench = await open();
      ({ network, addresses } = bench);
    });
    afterEach(() => bench.close());

    const subnet = '10.88.0.0/24';
    const endpointKey = { network: 'n1', endpoint: 'e1' };

    async function createNetwork(): Promise<{ readonly poolId: string; readonly request: CreateNetwork }> {
      const { poolId, cidr } = await addresses.requestPool({ pool: subnet, options: {}, family: 4 });
      const gateway = await addresses.requestAddress({ poolId, purpose: 'gateway' });
      const request = { id: 'n1', options: {}, internal: false, pools: [{ cidr, gateway }] };
      await network.createNetwork(request);
      return { poolId, request };
    }

    async function createEndpoint(): Promise<CreateEndpoint> {
      const { poolId } = await createNetwork();
      const address = await addresses.requestAddress({ poolId, purpose: 'other' });
      const request = { ...endpointKey, addresses: [address] };
      await network.createEndpoint(request);
      return request;
    }

    describe('a pool', () => {
      test('is the one that was asked for, or one of weft’s choice', async () => {
        expect((await addresses.requestPool({ pool: subnet, options: {}, family: 4 })).cidr).toBe(subnet);
        const [one, other] = [
          await addresses.requestPool({ options: {}, family: 4 }),
          await addresses.requestPool({ options: {}, family: 4 }),
        ];
        expect(one.cidr).toMatch(/^10\.[\d.]+\/\d+$/);
        expect(other.cidr).not.toBe(one.cidr);
      });

      test('has an id of its own for every request', async () => {
        const request = { pool: subnet, options: {}, family: 4 } as const;
        const [one, other] = [await addresses.requestPool(request), await addresses.requestPool(request)];
        expect(other.cidr).toBe(one.cidr);
        expect(other.poolId).not.toBe(one.poolId);
      });

      test('is released, twice, and so is an unknown one', async () => {
        const { poolId } = await addresses.requestPool({ pool: subnet, options: {}, family: 4 });
        await addresses.releasePool(poolId);
        await addresses.releasePool(poolId);
        await addresses.releasePool('nobody-knows@10.99.0.0/24');
        await addresses.releasePool('nonsense');
      });
    });

    describe('an address', () => {
      test('is told with its prefix length, and given once', async () => {
        const { poolId } = await createNetwork();
        const given = [
          await addresses.requestAddress({ poolId, purpose: 'other' }),
          await addresses.requestAddress({ poolId, purpose: 'other' }),
        ];
        for (const address of given) expect(address).toMatch(/^10\.88\.0\.\d+\/\d+$/);
        expect(new Set(given).size).toBe(2);
      });

      test('is the one that was asked for', async () => {
        const { poolId } = await createNetwork();
        const address = '10.88.0.77';
        expect(await addresses.requestAddress({ poolId, address, purpose: 'other' })).toMatch(
          /^10\.88\.0\.77\/\d+$/,
        );
      });

      test('is refused of an unknown pool', async () => {
        const request = { poolId: 'nobody-knows@10.99.0.0/24', purpose: 'other' } as const;
        await expect(addresses.requestAddress(request)).rejects.toMatchObject({ code: 'not-found' });
      });

      test('that was released can be had again', async () => {
        const { poolId } = await createNetwork();
        const address = '10.88.0.77';
        await addresses.requestAddress({ poolId, address, purpose: 'other' });
        await addresses.releaseAddress(poolId, address);
        await addresses.requestAddress({ poolId, address, purpose: 'other' });
      });

      test('is released twice, unheld, and of an unknown pool', async () => {
        const { poolId } = await createNetwork();
        for (const pool of [poolId, poolId, 'nobody-knows@10.99.0.0/24', 'nonsense']) {
          await addresses.releaseAddress(pool, '10.88.0.77');
        }
      });
    });

    describe('a network', () => {
      test('is created by a second call with the same content too', async () => {
        const { request } = await createNetwork();
        await network.createNetwork(request);
      });

      test('is deleted, twice, and so is an unknown one', async () => {
        await createNetwork();
        await network.deleteNetwork('n1');
        await network.deleteNetwork('n1');
        await network.deleteNetwork('nobody-knows');
      });

      test('that was deleted has no place for an endpoint', async () => {
        await createNetwork();
        await network.deleteNetwork('n1');
        const request = { ...endpointKey, addresses: ['10.88.0.9/24'] };
        await expect(network.createEndpoint(request)).rejects.toMatchObject({ code: 'not-found' });
      });
    });

    describe('an endpoint', () => {
      test('gets a MAC where the user has none, the same when asked again', async () => {
        const request = await createEndpoint();
        const { mac } = await network.createEndpoint(request);
        expect(mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
        expect(await network.createEndpoint(request)).toEqual({ mac });
      });

      test('keeps the MAC that the user has chosen, which is not told again', async () => {
        const { poolId } = await createNetwork();
        const address = await addresses.requestAddress({ poolId, purpose: 'other' });
        const request = { ...endpointKey, addresses: [address], mac: '02:00:00:00:00:07' };
        expect(await network.createEndpoint(request)).toEqual({});
        expect(await network.createEndpoint(request)).toEqual({});
      });

      test('tells of itself in words', async () => {
        await createEndpoint();
        const info = await network.endpointInfo(endpointKey);
        expect(Object.values(info)).not.toEqual([]);
        for (const value of Object.values(info)) expect(value).toEqual(expect.any(String));
      });

      test('that is unknown has nothing to tell, and cannot be joined', async () => {
        await createNetwork();
        await expect(network.endpointInfo(endpointKey)).rejects.toMatchObject({ code: 'not-found' });
        const join = network.join({ ...endpointKey, sandbox: '/s1' });
        await expect(join).rejects.toMatchObject({ code: 'not-found' });
      });

      test('is joined by a link of its own, and again after it has left', async () => {
        await createEndpoint();
        const first = await network.join({ ...endpointKey, sandbox: '/s1' });
        expect(first.link).toMatch(/^weft.{1,11}$/);
        await network.leave(endpointKey);
        expect(await network.join({ ...endpointKey, sandbox: '/s1' })).toEqual(first);
      });

      test('is left without having been joined, twice, and unknown', async () => {
        await createEndpoint();
        await network.leave(endpointKey);
        await network.leave(endpointKey);
        await network.leave({ network: 'n1', endpoint: 'nobody-knows' });
        await network.leave({ network: 'nobody-knows', endpoint: 'nobody-knows' });
      });

      test('is deleted, twice, and so is an unknown one', async () => {
        await createEndpoint();
        await network.join({ ...endpointKey, sandbox: '/s1' });
        await network.leave(endpointKey);
        await network.deleteEndpoint(endpointKey);
        await network.deleteEndpoint(endpointKey);
        await network.deleteEndpoint({ network: 'nobody-knows', endpoint: 'nobody-knows' });
        await expect(network.endpointInfo(endpointKey)).rejects.toMatchObject({ code: 'not-found' });
      });
    });
  });
}
