/** The store is away from one host: what that goes on doing, and what comes of it when the store is back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerEnd } from '../../../src/model/names.ts';
import { records } from '../../../src/model/records.ts';
import { type CutStore, cuttable } from '../../fakes/cut-store.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createContainer,
  createNetwork,
  freshKernel,
  keys,
  keysIn,
  letPass,
  type MadeNetwork,
  outlast,
  removeNetwork,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';

let store: FakeStore;
let way: CutStore;
let h1: WeftHost;
let h2: WeftHost;
let here: MadeNetwork;
let there: MadeNetwork;

async function setUp(fabric: string): Promise<void> {
  store = new FakeStore();
  way = cuttable(store);
  h1 = startHost(way, 1);
  h2 = startHost(store, 2);
  const options = { 'weft.network': 'blue', 'weft.fabric': fabric };
  here = await createNetwork(h1, { id: 'd1', subnet, options });
  there = await createNetwork(h2, { id: 'd2', subnet, options });
}
afterEach(async () => {
  way.mend();
  await h1.remove();
  await h2.remove();
});

async function cutOff(): Promise<void> {
  way.cut();
  await letPass(0);
}

const ask = (host: WeftHost, { poolId }: MadeNetwork, address?: string) =>
  afterWait(host.addresses.requestAddress({ poolId, ...(address && { address }), purpose: 'other' }));

/** What a call answers that waits for the store in vain; no more time passes than that, however slow the disk is. */
async function afterWait<T>(call: Promise<T>): Promise<T> {
  call.catch(() => {});
  await letPass(7_000);
  return call;
}

async function announced(): Promise<string[]> {
  const { entries } = await store.list(keys.allEndpoints);
  return entries.flatMap(({ value }) => records.endpoint.parse(value).addresses).toSorted();
}

async function assigned(): Promise<number> {
  const { entries } = await store.list(keys.allBlocks);
  return entries.flatMap(({ value }) => Object.keys(records.block.parse(value).assigned)).length;
}

const addressesOf = (containers: readonly Container[]) => containers.map(({ address }) => address).toSorted();

describe.each(['routed', 'vxlan'])('on a %s network', (fabric) => {
  beforeEach(() => setUp(fabric));

  test('sixteen containers start at once, and others hear of them when the store is back', async () => {
    const first = await startContainer(h1, here, 'a');
    await cutOff();
    const names = [...'bcdefghijklmnopq'];
    const meanwhile = await Promise.all(names.map((name) => startContainer(h1, here, name)));
    expect(new Set(addressesOf([first, ...meanwhile])).size).toBe(17);
    const sentence = 'weft cannot do this now, try again later: the store is away';
    await expect(ask(h1, here)).rejects.toThrow(sentence);
    const other = await startContainer(h2, there, 'r');
    for (const { address } of meanwhile.slice(0, 2)) {
      await expect(ask(h2, there, address)).rejects.toThrow(
        `address ${address} is held for containers that host h1 starts while the store is away`,
      );
    }

    way.mend();
    await until(async () => (await announced()).length === 18);
    expect(await announced()).toEqual(addressesOf([first, ...meanwhile, other]));
    await letPass(3 * resyncMs);
    expect(await assigned()).toBe(18);
    const later = await startContainer(h1, here, 's');
    expect(addressesOf(meanwhile)).not.toContain(later.address);
    await cutOff();
    expect((await startContainer(h1, here, 't')).address).not.toBe(later.address);
  });

  test('the next weft goes on where this one ended, though the store is still away', async () => {
    const first = await startContainer(h1, here, 'a');
    await cutOff();
    const second = await startContainer(h1, here, 'b');
    h1 = await h1.restart();
    await letPass(5_000);
    const third = await startContainer(h1, here, 'c');
    expect(new Set(addressesOf([first, second, third])).size).toBe(3);
    way.mend();
    await until(async () => (await announced()).length === 3);
    expect(await announced()).toEqual(addressesOf([first, second, third]));
  });

  test('containers start after a loss of power, though the store is still away', async () => {
    const other = await startContainer(h2, there, 'o');
    const first = await startContainer(h1, here, 'a');
    await letPass(2 * resyncMs);
    await cutOff();
    const second = await startContainer(h1, here, 'b');
    h1 = await h1.restart(freshKernel());
    await letPass(5_000);
    // It knows where the others were.
    const destinations = h1.kernel.host.routes().map(({ destination }) => destination);
    if (fabric === 'routed') expect(destinations).toContain('10.77.0.0/26');
    // Docker's daemon clears away what was running, and starts it again.
    await stopContainer(h1, first);
    await stopContainer(h1, second);
    const third = await startContainer(h1, here, 'c');
    expect([first.address, second.address]).not.toContain(third.address);
    expect(await ask(h1, here, first.address)).toContain(first.address);
    await h1.addresses.releaseAddress(here.poolId, first.address);
    way.mend();
    await letPass(4 * resyncMs);
    expect(await announced()).toEqual(addressesOf([other, third]));
    await until(async () => (await assigned()) === 2);
  });
});

describe('on a routed network', () => {
  beforeEach(() => setUp('routed'));

  test.each([
    { of: 'this weft', next: () => h1 },
    { of: 'the next one', next: () => h1.restart() },
  ])('a container that asks for its address by name gets it again, of $of', async ({ next }) => {
    const { address } = await startContainer(h1, here, 'a');
    const other = await startContainer(h1, here, 'b');
    await letPass(2 * resyncMs);
    await cutOff();
    h1 = await next();
    await letPass(5_000);
    await expect(ask(h1, here, address)).rejects.toThrow(`address ${address} is in use on host`);
    await h1.network.deleteEndpoint({ network: here.id, endpoint: 'a'.padEnd(64, '0') });
    await h1.addresses.releaseAddress(here.poolId, address);
    expect(await ask(h1, here, address)).toBe(`${address}/32`);
    await h1.network.createEndpoint({ network: here.id, endpoint: 'c', addresses: [`${address}/32`] });
    await h1.network.join({ network: here.id, endpoint: 'c', sandbox: '/run/docker/netns/c' });
    h1.kernel.takeEnd(containerEnd('c'));
    way.mend();
    await letPass(4 * resyncMs);
    expect(await announced()).toEqual([address, other.address].toSorted());
    await expect(ask(h2, there, address)).rejects.toThrow(`address ${address} is in use on host h1`);
  });

  test('an address that only the store can give is refused by one sentence', async () => {
    await startContainer(h1, here, 'a');
    await cutOff();
    await expect(ask(h1, here, '10.77.0.20')).rejects.toThrow(
      'weft cannot do this now, try again later: the store is away',
    );
    await expect(ask(h1, here, '10.77.9.20')).rejects.toThrow('the store is away');
  });

  test('an endpoint whose address was given before goes on', async () => {
    const address = await h1.addresses.requestAddress({ poolId: here.poolId, purpose: 'other' });
    await cutOff();
    await h1.network.createEndpoint({ network: here.id, endpoint: 'e1', addresses: [address] });
    await h1.network.join({ network: here.id, endpoint: 'e1', sandbox: '/run/docker/netns/e1' });
    way.mend();
    await until(async () => (await announced()).length === 1);
  });

  test('an endpoint that nobody has vouched for is refused', async () => {
    await startContainer(h1, here, 'a');
    await cutOff();
    const endpoint = { network: here.id, endpoint: 'e1', addresses: ['10.77.0.20/32'] };
    await expect(outlast(h1.network.createEndpoint(endpoint))).rejects.toThrow('the store is away');
    expect(h1.ledger.endpoints.get('e1')).toBeUndefined();
  });

  test('what came and went meanwhile leaves nothing', async () => {
    const first = await startContainer(h1, here, 'a');
    await cutOff();
    const second = await startContainer(h1, here, 'b');
    await createContainer(h1, here, 'c');
    await h1.addresses.requestAddress({ poolId: here.poolId, purpose: 'other' });
    await stopContainer(h1, second);
    await stopContainer(h1, first);
    way.mend();
    await until(async () => (await assigned()) === 0 && (await announced()).length === 0);
    await letPass(4 * resyncMs);
    expect(await announced()).toEqual([]);
    await removeNetwork(h1, here);
    await removeNetwork(h2, there);
    expect(await keysIn(store)).toEqual([]);
  });

  test('a store that takes calls and answers none is done without, too', async () => {
    await startContainer(h1, here, 'a');
    await cutOff();
    const address = await ask(h1, here);
    way.delay();
    way.mend();
    await letPass(0);
    await outlast(h1.network.createEndpoint({ network: here.id, endpoint: 'e1', addresses: [address] }));
    await h1.network.join({ network: here.id, endpoint: 'e1', sandbox: '/run/docker/netns/e1' });
    h1.kernel.takeEnd(containerEnd('e1'));
    await cutOff();
    await way.deliver();
    way.mend();
    await until(async () => (await announced()).length === 2);
    await letPass(5 * resyncMs);
    expect(await assigned()).toBe(2);
  });
});
