/** A host whose clock is set another day while weft runs, or always was a day off. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createNetwork,
  keysIn,
  letPass,
  type MadeNetwork,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
  waysAreFound,
  withoutLength,
} from './weft-host.ts';

useTestTime();

const dayMs = 24 * 3_600_000;
const days = [
  ['ahead', dayMs],
  ['back', -dayMs],
] as const;

let store: FakeStore;
let sides: readonly {
  readonly host: WeftHost;
  readonly network: MadeNetwork;
  readonly container: Container;
}[];

beforeEach(async () => {
  store = new FakeStore();
  sides = await Promise.all(
    [1, 2].map(async (number) => {
      const host = startHost(store, number);
      const network = await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16' });
      return { host, network, container: await startContainer(host, network, `c${number}`) };
    }),
  );
  await letPass(2 * resyncMs);
});
afterEach(async () => {
  for (const { host } of sides) await host.remove();
});

function setClock(byMs: number): void {
  vi.setSystemTime(Date.now() + byMs);
}

test.each(days)('set %s: all that is held stays, in the store and in the kernels', async (_where, byMs) => {
  await waysAreFound(sides.map(({ host }) => host));
  const before = await keysIn(store);
  const written = sides.map(({ host }) => host.kernel.applied.length);
  setClock(byMs);
  await letPass(40 * resyncMs);
  expect(await keysIn(store)).toEqual(before);
  expect(sides.map(({ host }) => host.kernel.applied.length)).toEqual(written);
});

test.each(days)(
  'set %s: containers start and end as ever, each with an address of its own',
  async (_where, byMs) => {
    setClock(byMs);
    const before = await keysIn(store);
    const started = await Promise.all(
      sides.map(async ({ host, network }) => ({
        host,
        next: await startContainer(host, network, `${host.id} next`),
      })),
    );
    const addresses = [...sides.map(({ container }) => container), ...started.map(({ next }) => next)];
    expect(new Set(addresses.map(({ address }) => address)).size).toBe(4);
    await letPass(4 * resyncMs);
    for (const { host, next } of started) await stopContainer(host, next);
    await until(async () => (await keysIn(store)).length === before.length);
  },
);

test.each(days)(
  'set %s between two calls of one start: at worst that one is to be tried again',
  async (_where, byMs) => {
    const [one, two] = sides;
    if (one === undefined || two === undefined) throw new Error('there are two hosts');
    const { poolId, id } = one.network;
    const address = await one.host.addresses.requestAddress({ poolId, purpose: 'other' });
    setClock(byMs);
    await letPass(2 * resyncMs);
    const wanted = { poolId: two.network.poolId, address: withoutLength(address), purpose: 'other' } as const;
    await two.host.addresses.requestAddress(wanted);
    const creation = one.host.network.createEndpoint({ network: id, endpoint: 'e1', addresses: [address] });
    await expect(creation).rejects.toThrow('start the container again');
  },
);

test.each(days)(
  '%s of the others: what it gives back is given to one container, and not kept for a day',
  async (_where, byMs) => {
    const [one, two] = sides;
    if (one === undefined || two === undefined) throw new Error('there are two hosts');
    setClock(byMs);
    await stopContainer(two.host, two.container);
    setClock(-byMs);
    const wanted = { poolId: one.network.poolId, address: two.container.address, purpose: 'other' } as const;
    expect(withoutLength(await one.host.addresses.requestAddress(wanted))).toBe(two.container.address);
    const next = await startContainer(two.host, two.network, 'next');
    expect(next.address).not.toBe(two.container.address);
  },
);
