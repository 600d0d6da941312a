/** Files of the ledger that were damaged while weft did not run: cut off in the middle, say. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createNetwork,
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

let store: FakeStore;
let host: WeftHost;
let network: MadeNetwork;
let container: Container;

describe.each(['routed', 'vxlan'])('of a %s network', (fabric) => {
  beforeEach(async () => {
    store = new FakeStore();
    host = startHost(store);
    const { poolId, cidr } = await host.addresses.requestPool({
      ...{ pool: '10.77.0.0/16', range: '10.77.4.0/24', options: {}, family: 4 },
    });
    const gateway = await host.addresses.requestAddress({ poolId, purpose: 'gateway' });
    await host.addresses.requestAddress({ poolId, address: '10.77.4.1', purpose: 'other' });
    network = { id: 'd1', poolId, cidr, gateway };
    const options = { 'weft.network': 'blue', 'weft.fabric': fabric };
    await host.network.createNetwork({ id: 'd1', options, internal: false, pools: [{ cidr, gateway }] });
    container = await startContainer(host, network, 'c1');
    await letPass(2 * resyncMs);
  });
  afterEach(() => host.remove());

  const fileOf = (kind: string, id: string) =>
    join(host.stateDir, 'ledger', kind, `${encodeURIComponent(id)}.json`);

  /** Cuts them off in the middle, and starts weft again. */
  async function restartWithout(...files: readonly string[]): Promise<void> {
    for (const file of files) truncateSync(file, Math.floor(readFileSync(file).length / 2));
    host = await host.restart();
  }

  const losses: readonly [string, (files: Readonly<Record<'network' | 'pool', string>>) => string[]][] = [
    ['a network', ({ network }) => [network]],
    ['a pool', ({ pool }) => [pool]],
    ['both', ({ network, pool }) => [network, pool]],
  ];
  test.each(losses)('%s is taken from the store; nothing is withdrawn meanwhile', async (_what, lost) => {
    const before = await keysIn(store);
    const written = host.kernel.applied.length;
    const files = { network: fileOf('networks', network.id), pool: fileOf('pools', network.poolId) };
    const onDisk = () => Object.values(files).map(contentOf);
    const kept = onDisk();
    await restartWithout(...lost(files));
    await until(() => onDisk().every((content) => content !== undefined));
    expect(onDisk()).toEqual(kept);
    await letPass(40 * resyncMs);
    expect(await keysIn(store)).toEqual(before);
    expect(host.kernel.applied).toHaveLength(written);

    const next = await startContainer(host, network, 'c2');
    expect(next.address).toBe('10.77.4.2');
    for (const one of [container, next]) await stopContainer(host, one);
    await removeNetwork(host, network);
    await until(async () => (await keysIn(store)).length === 0);
  });

  test('a network that the store has lost too is named, and the host left as it is until its containers are gone', async () => {
    const file = fileOf('networks', network.id);
    const written = host.kernel.applied.length;
    store.stop();
    store.restore([], 1n);
    await restartWithout(file);
    store.start();
    await letPass(4 * resyncMs);
    const another = () =>
      outlast(host.addresses.requestPool({ pool: '10.99.0.0/16', options: {}, family: 4 }));
    await expect(another()).rejects.toThrow(`the file ${file} is damaged`);
    expect(host.kernel.applied).toHaveLength(written);

    await stopContainer(host, container);
    await removeNetwork(host, network);
    await letPass(resyncMs);
    await another();
  });

  test('an endpoint is not recovered, but no other is harmed', async () => {
    const other = await startContainer(host, network, 'c2');
    await restartWithout(fileOf('endpoints', container.endpoint));
    await letPass(4 * resyncMs);
    expect(host.ledger.endpoints.all().map(({ id }) => id)).toEqual([other.endpoint]);
    expect((await startContainer(host, network, 'c3')).address).toBe('10.77.4.3');
  });
});

/** Undefined while it is damaged. */
function contentOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

test('a file that is no record of weft’s stands in nobody’s way', async () => {
  store = new FakeStore();
  host = startHost(store);
  for (const kind of ['networks', 'pools', 'endpoints', 'replicas']) {
    writeFileSync(join(host.stateDir, 'ledger', kind, '%zz.json'), '{}');
  }
  host = await host.restart();
  await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16' });
  await host.remove();
});
