/** The disk of weft's records is full: what runs goes on and can be removed, and nothing is left half begun. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Agent } from '../../src/agent/agent.ts';
import type { FakeKernel } from '../fakes/kernel.ts';
import { FakeStore } from '../fakes/store.ts';
import {
  createContainer,
  createNetwork,
  freshKernel,
  keysIn,
  startContainer,
  startWeft,
  stopContainer,
} from '../unit/agent/weft-host.ts';

let disk: string;
let store: FakeStore;
let kernel: FakeKernel;
let weft: Agent;

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'weft-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'weft-disk', disk]);
  [store, kernel] = [new FakeStore(), freshKernel()];
  weft = startWeft({ store, kernel, stateDir: disk, number: 1 });
});
afterEach(async () => {
  await weft.close();
  execFileSync('umount', [disk]);
  rmdirSync(disk);
});

const blue = { id: 'd1', subnet: '10.77.0.0/16', options: { 'weft.network': 'blue' } };
const green = { id: 'd2', subnet: '10.78.0.0/16', options: { 'weft.network': 'green' } };
const told = /^weft cannot keep its records in .*ENOSPC.*make sure that its disk has room/;

const ballast = () => join(disk, 'ballast');

function fill(): void {
  for (let bytes = 256 * 1024; bytes > 0; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(ballast(), Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // The next half.
    }
  }
}

const links = () => kernel.host.links().map(({ name }) => name);

test('what would be new is refused in one sentence and leaves nothing; with room it works', async () => {
  const network = await createNetwork(weft, blue);
  const before = { keys: await keysIn(store), links: links() };
  fill();
  await expect(createNetwork(weft, green)).rejects.toThrow(told);
  await expect(createContainer(weft, network, 'c1')).rejects.toThrow(told);
  // Docker gives back the address of an endpoint that it was refused.
  await weft.addresses.releaseAddress(network.poolId, '10.77.0.2');
  expect(links()).toEqual(before.links);
  const others = (keys: readonly string[]) => keys.filter((key) => !/\/(blocks|claims)\//.test(key));
  expect(others(await keysIn(store))).toEqual(others(before.keys));

  rmSync(ballast());
  await createNetwork(weft, green);
  await startContainer({ ...weft, kernel }, network, 'c1');
});

test('what is there can be removed', async () => {
  const network = await createNetwork(weft, blue);
  const before = links();
  const container = await startContainer({ ...weft, kernel }, network, 'c1');
  fill();
  await weft.network.leave(container).catch(() => undefined);
  await stopContainer({ ...weft, network: { ...weft.network, leave: async () => {} } }, container);
  expect(links()).toEqual(before);
  expect((await keysIn(store)).filter((key) => key.includes('/endpoints/'))).toEqual([]);
});

test('a weft that starts then knows what there is', async () => {
  const network = await createNetwork(weft, blue);
  const container = await startContainer({ ...weft, kernel }, network, 'c1');
  const wired = links();
  fill();
  await weft.close();
  weft = startWeft({ store, kernel, stateDir: disk, number: 1 });
  expect(await weft.network.endpointInfo(container)).toMatchObject({ 'weft.network': 'blue' });
  expect(links()).toEqual(wired);
});

test('the first start of all says why it cannot be', () => {
  rmSync(join(disk, 'host-id'));
  fill();
  expect(() => startWeft({ store, kernel, stateDir: disk, number: 1 })).toThrow(
    /^weft cannot keep the id of this host in .*ENOSPC/,
  );
});
