/** A store that has lost its data: wiped, or restored from a backup. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Entry } from '../../../src/store/store.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createContainer,
  createNetwork,
  keys,
  letPass,
  type MadeNetwork,
  outlast,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

let store: FakeStore;
let hosts: WeftHost[];
let networks: MadeNetwork[];
let backup: { readonly entries: readonly Entry[]; readonly revision: bigint };
let containers: Container[];

describe.each(['routed', 'vxlan'])('with a %s network', (fabric) => {
  beforeEach(async () => {
    store = new FakeStore();
    hosts = [startHost(store, 1), startHost(store, 2)];
    networks = [];
    containers = [];
    const options = { 'weft.network': 'blue', 'weft.fabric': fabric };
    for (const [index, host] of hosts.entries()) {
      const network = await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16', options });
      networks.push(network);
      containers.push(await startContainer(host, network, `c${index}`));
    }
    backup = await store.list(keys.root);
    for (const [index, host] of hosts.entries()) {
      const network = networks[index];
      if (network !== undefined) containers.push(await startContainer(host, network, `later${index}`));
    }
    await letPass(2 * resyncMs);
  });

  const known = async () => {
    const { entries } = await store.list(keys.root);
    return entries.map(({ key }) => key).filter((key) => !key.startsWith(keys.allAlive));
  };
  const deletions = () =>
    hosts.map(({ kernel }) => kernel.applied.filter(({ change }) => change.do === 'delete').length);

  const wipe = () => store.restore([], 1n);
  const restore = () => store.restore(backup.entries, backup.revision);
  const losses = [
    ['wiped', wipe],
    ['restored from a backup', restore],
  ] as const;

  test.each(losses)('%s: all is told again, and nothing leaves the kernels meanwhile', async (_how, lose) => {
    const [before, deleted] = [await known(), deletions()];
    store.stop();
    await letPass(resyncMs);
    lose();
    store.start();
    await until(async () => (await known()).length === before.length);
    await letPass(4 * resyncMs);
    expect(await known()).toEqual(before);
    expect(deletions()).toEqual(deleted);

    // Nobody is given an address that a container has.
    const [host, network] = [hosts[0], networks[0]];
    if (host === undefined || network === undefined) throw new Error('there is no host');
    const next = await startContainer(host, network, 'next');
    expect(containers.map(({ address }) => address)).not.toContain(next.address);
    await stopContainer(host, next);
  });

  test('for a minute the next container gets what a backup has as spare; of a wiped store, nothing', async () => {
    await expect(nextAfter(restore)).resolves.toContain('10.77.0.48/');
    await letPass(60_000);
    await expect(nextAfter(wipe)).rejects.toThrow('the store has lost data');
    await letPass(60_000);
    await expect(nextAddress()).resolves.toContain('10.77.0.4/');
  });

  function nextAddress(): Promise<string> {
    const [[host], [network]] = [hosts, networks];
    if (host === undefined || network === undefined) throw new Error('there is no host');
    return outlast(host.addresses.requestAddress({ poolId: network.poolId, purpose: 'other' }));
  }

  async function nextAfter(lose: () => void): Promise<string> {
    store.stop();
    await letPass(resyncMs);
    lose();
    store.start();
    await letPass(1_000);
    return nextAddress();
  }

  test.each(losses)('%s while a host is off: nobody gets what that may hold', async (_how, lose) => {
    const [h1, h2] = hosts;
    const [network] = networks;
    const address = containers.at(-1)?.address;
    if (h1 === undefined || h2 === undefined || network === undefined || address === undefined) {
      throw new Error('there are two hosts, with a container each');
    }
    const itsAddress = () =>
      outlast(h1.addresses.requestAddress({ poolId: network.poolId, address, purpose: 'other' }));
    await h2.close();
    store.stop();
    await letPass(resyncMs);
    lose();
    store.start();
    await letPass(1_000);
    await expect(itsAddress()).rejects.toThrow('the store has lost data');
    const another = outlast(createNetwork(h1, { id: 'd2', subnet: '10.99.0.0/16' }));
    await expect(another).rejects.toThrow('the store has lost data');
    hosts = [h1, await h2.restart()];
    await letPass(4 * resyncMs);
    await expect(itsAddress()).rejects.toThrow('is in use on host h2');
  });

  test('restored from a backup, and further by now than a host saw that was off: nobody gets what it may hold', async () => {
    const [h1, h2] = hosts;
    if (h1 === undefined || h2 === undefined) throw new Error('there are two hosts');
    const { revision } = store;
    await h2.close();
    store.stop();
    store.restore(backup.entries, backup.revision);
    store.start();
    await letPass(2 * resyncMs);
    while (store.revision <= revision) store.writeElsewhere([{ put: keys.recipe('other'), value: '' }]);
    hosts = [h1, await h2.restart()];
    await letPass(1_000);
    const another = outlast(createNetwork(hosts[1] ?? h2, { id: 'd2', subnet: '10.99.0.0/16' }));
    await expect(another).rejects.toThrow('the store has lost data');
  });

  test('that a host takes part is told again, too, where weft was killed before it had told', async () => {
    const [h1, h2] = hosts;
    if (h1 === undefined || h2 === undefined) throw new Error('there are two hosts');
    const [, first, , second] = containers;
    for (const container of [first, second]) if (container) await stopContainer(h2, container);
    await h2.close();
    store.writeElsewhere([{ delete: keys.participant('blue', h2.id) }]);
    hosts = [h1, await h2.restart()];
    await until(async () => (await known()).includes(keys.participant('blue', h2.id)));
  });

  test('restored from a backup while no weft ran: all is told again too', async () => {
    const [before, deleted] = [await known(), deletions()];
    store.stop();
    store.restore(backup.entries, backup.revision);
    hosts = await Promise.all(hosts.map((host) => host.restart()));
    store.start();
    await until(async () => (await known()).length === before.length);
    expect(await known()).toEqual(before);
    await letPass(4 * resyncMs);
    expect(deletions()).toEqual(deleted);
  });

  test('deleted by hand: the same, with no restart of the store', async () => {
    const [before, deleted] = [await known(), deletions()];
    store.writeElsewhere([{ deletePrefix: keys.root }]);
    await until(async () => (await known()).length === before.length);
    await letPass(4 * resyncMs);
    expect(deletions()).toEqual(deleted);
  });
});

test('a subnet is told again with its range and what is set aside in it', async () => {
  const store = new FakeStore();
  const host = startHost(store);
  const request = { pool: '10.77.0.0/16', range: '10.77.4.0/24', options: {}, family: 4 } as const;
  const { poolId } = await host.addresses.requestPool(request);
  await host.addresses.requestAddress({ poolId, purpose: 'gateway' });
  await host.addresses.requestAddress({ poolId, address: '10.77.4.0', purpose: 'other' });
  const pools = [{ cidr: '10.77.0.0/16', gateway: '10.77.0.1/16' }];
  await host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools });
  const told = async () => {
    const { entries } = await store.list(keys.pools);
    return entries.map(({ value }) => ({ ...JSON.parse(value), sinceMs: undefined }));
  };
  const before = await told();

  store.writeElsewhere([{ deletePrefix: keys.root }]);
  await until(async () => (await told()).length === before.length);
  await letPass(4 * resyncMs);
  expect(await told()).toEqual(before);
  const container = await createContainer(host, { id: 'd1', poolId }, 'c1');
  expect(container.address).toBe('10.77.4.1');
  await host.remove();
});
