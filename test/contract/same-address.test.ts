/** Two hosts that ask for the same address at the same moment, on a real etcd. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEtcdStore } from '../../src/store/etcd.ts';
import type { Store } from '../../src/store/store.ts';
import { createNetwork, startHost, type WeftHost } from '../unit/agent/weft-host.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';

interface Asker {
  readonly store: Store;
  readonly host: WeftHost;
  readonly poolId: string;
}

let etcd: EtcdServer;
const askers: Asker[] = [];

beforeAll(async () => {
  etcd = await startEtcd();
  for (const number of [1, 2]) {
    const store = openEtcdStore({ endpoints: [etcd.endpoint] });
    const host = startHost(store, number);
    const options = { 'weft.network': 'blue' };
    const { poolId } = await createNetwork(host, { id: `d${number}`, subnet: '10.77.0.0/16', options });
    await host.addresses.requestAddress({ poolId, purpose: 'other' });
    askers.push({ store, host, poolId });
  }
});

afterAll(async () => {
  for (const { host, store } of askers) {
    await host.remove();
    await store.close();
  }
  await etcd?.remove();
});

test('each of 200 times one gets it, and the other hears who has it', async () => {
  for (let round = 0; round < 200; round += 1) {
    // In a block of the first, of the second, of nobody.
    const address = [`10.77.0.9`, '10.77.0.73', `10.77.${1 + round}.9`][round % 3] ?? '';
    const answers = await Promise.allSettled(
      askers.map(async (asker) => {
        const { host, poolId } = asker;
        await host.addresses.requestAddress({ poolId, address, purpose: 'other' });
        return asker;
      }),
    );
    const [winner, ...others] = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refusals = answers.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
    expect(others, `round ${round}`).toEqual([]);
    const name = `h${Number(winner?.host.id)}`;
    expect(refusals, `round ${round}`).toEqual([
      expect.stringContaining(`address ${address} is in use on host ${name}: choose another`),
    ]);
    await winner?.host.addresses.releaseAddress(winner.poolId, address);
  }
});
