/** A store that has lost its data: wiped, or restored from a backup. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Entry } from '../../../src/store/store.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createNetwork,
  keys,
  letPass,
  type MadeNetwork,
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

  const losses: readonly [string, () => void][] = [
    ['wiped', () => store.restore([], 1n)],
    ['restored from a backup', () => store.restore(backup.entries, backup.revision)],
  ];

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

  test('restored from a backup while no weft ran: all is told again too', async () => {
    const before = await known();
    store.stop();
    store.restore(backup.entries, backup.revision);
    hosts = await Promise.all(hosts.map((host) => host.restart()));
    store.start();
    await until(async () => (await known()).length === before.length);
    expect(await known()).toEqual(before);
  });

  test('deleted by hand: the same, with no restart of the store', async () => {
    const [before, deleted] = [await known(), deletions()];
    store.writeElsewhere([{ deletePrefix: keys.root }]);
    await until(async () => (await known()).length === before.length);
    await letPass(4 * resyncMs);
    expect(deletions()).toEqual(deleted);
  });
});
