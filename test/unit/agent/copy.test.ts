/** A machine that was copied, with the folder in which weft keeps the host's id. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Agent } from '../../../src/agent/agent.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createNetwork,
  freshKernel,
  keys,
  letPass,
  type MadeNetwork,
  outlast,
  resyncMs,
  startContainer,
  startHost,
  startWeft,
  stopContainer,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

let store: FakeStore;
let host: WeftHost;
let network: MadeNetwork;
let stateDir: string;
let started: Agent[];

beforeEach(async () => {
  store = new FakeStore();
  host = startHost(store);
  network = await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16' });
  stateDir = mkdtempSync(join(tmpdir(), 'weft-copy-'));
  started = [];
});
afterEach(async () => {
  for (const agent of started) await agent.close();
  await host.remove();
  rmSync(stateDir, { recursive: true });
});

/** weft on what was on the first host's disk by now. */
function startOn(machine: { readonly kernel: FakeKernel; readonly boot: string }): Agent {
  cpSync(host.stateDir, stateDir, { recursive: true });
  const agent = startWeft({ ...machine, store, stateDir, number: 2 });
  started.push(agent);
  return agent;
}

const inStore = async () => {
  const { entries } = await store.list(keys.root);
  return entries.map(({ key, value }) => [key, value]);
};

/** What needs the cluster. */
const another = (agent: Agent) =>
  outlast(agent.addresses.requestPool({ pool: '10.99.0.0/16', options: {}, family: 4 }));

test('is refused, and named; what the other has stays, whatever Docker takes away on the copy', async () => {
  const container = await startContainer(host, network, 'c1');
  await letPass(2 * resyncMs);
  const before = await inStore();
  const kernel = freshKernel(2);
  const copy = startOn({ kernel, boot: 'another' });
  await letPass(resyncMs);
  await expect(another(copy)).rejects.toThrow(`this machine has the id ${host.id} of host h1 at 10.9.0.1`);
  expect(kernel.applied).toEqual([]);
  await outlast(stopContainer(copy, container));
  await letPass(10 * resyncMs);
  expect(await inStore()).toEqual(before);
  await another(host);
});

test('also takes over nothing when the other is off, until somebody says that it is gone', async () => {
  await host.close();
  store.advance(24 * 3_600_000);
  const copy = startOn({ kernel: freshKernel(2), boot: 'another' });
  await expect(another(copy)).rejects.toThrow('of host h1');
  store.writeElsewhere([{ delete: keys.host(host.id) }]);
  // A store without the host's record is told again what the host has.
  await letPass(3 * resyncMs);
  await another(copy);
});

test('of two that have never taken part, the first one does', async () => {
  const empty = new FakeStore();
  const [first, second] = [1, 2].map((number) => {
    cpSync(join(host.stateDir, 'host-id'), join(stateDir, String(number), 'host-id'), { recursive: true });
    const kernel = freshKernel(number);
    const on = { store: empty, kernel, stateDir: join(stateDir, String(number)), boot: `boot ${number}` };
    const agent = startWeft({ ...on, number });
    started.push(agent);
    return agent;
  });
  if (first === undefined || second === undefined) throw new Error('there are two');
  await letPass(resyncMs);
  const outcomes = await Promise.allSettled([another(first), another(second)]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
});

const sameMachine: readonly [
  string,
  { readonly address: number; readonly mac?: string; readonly boot: string },
][] = [
  ['another address', { address: 2, boot: 'boot of h1' }],
  ['another address, after a boot', { address: 2, mac: '02:57:0a:09:00:01', boot: 'another' }],
  ['another card, after a boot', { address: 1, mac: '02:00:00:00:00:07', boot: 'another' }],
];
test.each(sameMachine)('no copy is a machine with %s', async (_what, { address, mac, boot }) => {
  await host.close();
  const uplink = { name: 'eth0', mtu: 1500, addresses: [`10.9.0.${address}/24`], ...(mac && { mac }) };
  await another(startOn({ kernel: new FakeKernel([uplink]), boot }));
});
