import { afterEach, beforeEach, expect, test } from 'vitest';
import { assignAddress, confirmation, releaseAddress } from '../../../src/ipam/addresses.ts';
import { requestPool } from '../../../src/ipam/pools.ts';
import { look } from '../../../src/ipam/reading.ts';
import { reserveGateway } from '../../../src/ipam/reservations.ts';
import { records } from '../../../src/model/records.ts';
import { type IpamHost, ipamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';

let store: FakeStore;
let hosts: IpamHost[];
beforeEach(() => {
  store = new FakeStore();
  hosts = [];
});
afterEach(() => Promise.all(hosts.map(({ watcher }) => watcher.stop())));

async function hostOf(id: string, blockSize: number): Promise<IpamHost> {
  const host = await ipamHost(store, id, { blockSize });
  hosts.push(host);
  return host;
}

const poolOn = async (host: IpamHost, pool: string) =>
  (await requestPool(host, { pool, options: {}, family: pool.includes(':') ? 6 : 4 })).poolId;

async function blocks() {
  const { entries } = await store.list('/weft/v1/unwatched/blocks/');
  return entries.map(({ value }) => records.block.parse(value));
}

test.each([
  [32, '10.77.0.0/16', '10.77.0.0/27', '10.77.0.32/27'],
  [64, '10.77.0.0/16', '10.77.0.0/26', '10.77.0.64/26'],
  [256, '10.77.0.0/16', '10.77.0.0/24', '10.77.1.0/24'],
  [128, 'fd77::/64', 'fd77::/121', 'fd77::80/121'],
])(
  'blocks of %i addresses of %s are %s, %s, on all hosts, whatever they say',
  async (size, pool, ...cidrs) => {
    const [h1, h2] = [await hostOf('h1', size), await hostOf('h2', 64)];
    const [pool1, pool2] = [await poolOn(h1, pool), await poolOn(h2, pool)];
    await reserveGateway(h1, pool1);
    const [one, two] = [await assignAddress(h1, pool1), await assignAddress(h2, pool2)];
    expect((await blocks()).map(({ cidr, owner }) => [cidr, owner])).toEqual([
      [cidrs[0], 'h1'],
      [cidrs[1], 'h2'],
    ]);
    await h2.watcher.until(({ mirror }) => mirror.revision === store.revision);
    await look(h2, (reading) => confirmation(h2, reading, [pool], two));
    await releaseAddress(h1, pool1, one);
    await releaseAddress(h2, pool2, two);
    expect((await blocks()).map(({ assigned }) => Object.keys(assigned))).toEqual([[], []]);
  },
);

test('all 256 addresses of a large block are had', async () => {
  const host = await hostOf('h1', 256);
  const pool = await poolOn(host, '10.77.0.0/22');
  const given = new Set<string>();
  for (let times = 0; times < 300; times += 1) given.add(await assignAddress(host, pool));
  expect(given.size).toBe(300);
  expect((await blocks()).map(({ cidr }) => cidr)).toEqual(['10.77.0.0/24', '10.77.1.0/24']);
  await releaseAddress(host, pool, '10.77.0.255');
  expect(await assignAddress(host, pool, '10.77.0.255')).toBe('10.77.0.255');
});
