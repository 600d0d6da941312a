import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { announcementsTo } from '../../../src/agent/announcements.ts';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Ledger } from '../../../src/agent/ledger.ts';
import { Membership } from '../../../src/agent/membership.ts';
import { type Leftover, type Settlement, settlement } from '../../../src/agent/settlement.ts';
import type { HeldAddress } from '../../../src/ipam/addresses.ts';
import { records } from '../../../src/model/records.ts';
import { FakeStore } from '../../fakes/store.ts';
import type { Watcher } from '../../fakes/watcher.ts';
import { endpoint } from '../fabric/views.ts';
import { testHost } from '../ipam/test-host.ts';
import { testLedger } from './test-ledger.ts';
import { keys } from './weft-host.ts';

const mine = endpoint('h1', '10.77.0.2');
const theirs = endpoint('h2', '10.77.0.66');
const held = { pool: '10.77.0.0/16', address: '10.77.0.2', operation: 'o1', sinceMs: 0 };

let ledger: Ledger;
let store: FakeStore;
let watcher: Watcher;
let heldAddresses: () => readonly HeldAddress[];
let released: string[];
let creating: Set<string>;
/** Ids of endpoints. */
let untaken: Set<string>;
/** Ids of networks. */
let lost: Set<string>;
let dockerAnswers: boolean;
let nowMs: number;
let unneeded: Leftover[];
let settling: Settlement;
beforeEach(async () => {
  ledger = testLedger();
  store = new FakeStore();
  const ipam = await testHost(store, 'h1');
  watcher = ipam.watcher;
  nowMs = 1_700_000_000_000;
  heldAddresses = () => [];
  released = [];
  creating = new Set();
  untaken = new Set();
  lost = new Set();
  dockerAnswers = true;
  unneeded = [];
  const log = pino({ level: 'silent' });
  settling = settlement({
    hostId: 'h1',
    cluster: new Cluster(watcher.mirror, keys, log),
    ledger,
    membership: new Membership(ipam.store, keys, 'h1'),
    announcements: announcementsTo(ipam),
    heldAddresses: async () => heldAddresses(),
    releaseAddress: async ({ operation }) => void released.push(operation),
    now: () => nowMs,
    unneeded: async () => unneeded,
    releasePool: async (poolId) => void released.push(poolId),
    isCreating: (id) => creating.has(id),
    unlinkedEndpoints: () => [],
    untakenEndpoints: async () => ledger.endpoints.all().filter(({ id }) => untaken.has(id)),
    forgetUnlinked: async () => {},
    lostInDocker: async (networks) => {
      if (!dockerAnswers) throw new Error('Docker is away');
      return networks.filter(({ id }) => lost.has(id));
    },
    deleteNetwork: async (id) => void released.push(id),
    deleteEndpoint: async ({ endpoint }) => void released.push(endpoint),
    log,
  });
});

/** As the clock has it taken. */
async function look(): Promise<void> {
  nowMs += 1_000;
  await settling.look();
}

async function lookFor(seconds: number): Promise<void> {
  for (let looks = 0; looks < seconds; looks += 1) await look();
}

async function put(key: string, value: string): Promise<void> {
  store.writeElsewhere([{ put: key, value }]);
  await watcher.until(({ mirror }) => mirror.revision === store.revision);
}

const announce = (record: typeof mine) =>
  put(keys.endpoint('blue', record.id), records.endpoint.render(record));
const announced = async () => (await store.list(keys.allEndpoints)).entries.map(({ key }) => key);

test('what the ledger does not know is given back at the second look; what is others’ never', async () => {
  await announce(mine);
  await announce(theirs);
  await look();
  expect(await announced()).toHaveLength(2);
  await look();
  expect(await announced()).toEqual([keys.endpoint('blue', theirs.id)]);
  await look();
  expect(await announced()).toEqual([keys.endpoint('blue', theirs.id)]);
});

test('what came into the ledger between two looks stays', async () => {
  await announce(mine);
  await look();
  const { id, mac, addresses } = mine;
  await ledger.endpoints.put({ id, mac, addresses: [...addresses], network: 'd1', slot: 1, sandbox: 's1' });
  await look();
  await look();
  expect(await announced()).toHaveLength(1);
});

test('an address that was given out anew between two looks is another one', async () => {
  heldAddresses = () => [held];
  await look();
  heldAddresses = () => [{ ...held, operation: 'o2' }];
  await look();
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual(['o2']);
});

test('an address that was given out a moment ago stays, however soon the second look comes', async () => {
  const sinceMs = nowMs;
  heldAddresses = () => [{ ...held, sinceMs }];
  nowMs += 59_999 - 3_000;
  await lookFor(3);
  expect(released).toEqual([]);
  await look();
  await look();
  expect(released).toEqual(['o1']);
});

test('what nobody in the cluster needs is given back at the second look', async () => {
  unneeded = [{ kind: 'block', name: 'a block', giveBack: async () => void released.push('block') }];
  await look();
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual(['block']);
});

test('two looks at the same moment are one', async () => {
  unneeded = [{ kind: 'block', name: 'a block', giveBack: async () => void released.push('block') }];
  await look();
  await settling.look();
  await settling.look();
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual(['block']);
});

test('what is left over is counted by kind, and so is what was given back', async () => {
  await announce(mine);
  unneeded = [{ kind: 'block', name: 'a block', giveBack: () => Promise.reject(new Error('away')) }];
  expect(settling.counts()).toMatchObject({ endpoint: { found: 0, freed: 0 } });
  await look();
  expect(settling.counts()).toMatchObject({
    endpoint: { found: 1, freed: 0 },
    block: { found: 1, freed: 0 },
  });
  await look();
  await look();
  expect(settling.counts()).toMatchObject({
    ...{ endpoint: { found: 0, freed: 1 }, block: { found: 1, freed: 0 }, address: { found: 0, freed: 0 } },
  });
});

test('an address that an endpoint has stays', async () => {
  const { id, mac, addresses } = mine;
  await ledger.endpoints.put({ id, mac, addresses: [...addresses], network: 'd1', slot: 1, sandbox: 's1' });
  heldAddresses = () => [held];
  await look();
  await look();
  expect(released).toEqual([]);
});

test('one that cannot be given back is tried again, and stops no other', async () => {
  await announce(mine);
  const reference = records.poolReference.render({ v: 1, host: 'h1', sinceMs: 0 });
  await put(keys.reference('10.77.0.0/16', 'r1'), reference);
  await look();
  store.stop();
  await look();
  expect(released).toEqual(['r1@10.77.0.0/16']);
  store.start();
  await look();
  expect(await announced()).toEqual([]);
});

test('of a network that is here more than once, only what is gone is left', async () => {
  const value = records.participant.render({ v: 1, host: 'h1', dockerNetworks: ['d1', 'd2'] });
  await put(keys.participant('blue', 'h1'), value);
  const network = {
    id: 'd1',
    key: 'blue',
    fabric: 'routed',
    internal: false,
    pools: [],
    interfacePrefix: 'eth',
  };
  await ledger.networks.put(network);
  await look();
  await look();
  const entry = await store.get(keys.participant('blue', 'h1'));
  expect(records.participant.parse(entry?.value ?? '').dockerNetworks).toEqual(['d1']);
});

test('of a network that is being created, nothing is left over', async () => {
  creating.add('d1');
  const value = records.participant.render({ v: 1, host: 'h1', dockerNetworks: ['d1'] });
  await put(keys.participant('blue', 'h1'), value);
  await look();
  await look();
  expect(await store.get(keys.participant('blue', 'h1'))).toBeDefined();
  creating.clear();
  await look();
  await look();
  expect(await store.get(keys.participant('blue', 'h1'))).toBeUndefined();
});

test('an endpoint that was never joined, or was left, is deleted when Docker has long had time for its next call', async () => {
  const { id, mac, addresses } = mine;
  const endpoint = { id, mac, addresses: [...addresses], network: 'd1', slot: 1 };
  await ledger.endpoints.put(endpoint);
  await lookFor(15);
  await ledger.endpoints.put({ ...endpoint, sandbox: 's1' });
  await look();
  await ledger.endpoints.put(endpoint);
  await lookFor(15);
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual([id]);
});

test('an endpoint whose link Docker never took, as a daemon that died meanwhile leaves it, is deleted after a minute', async () => {
  const { id, mac, addresses } = mine;
  const endpoint = { id, mac, addresses: [...addresses], network: 'd1', slot: 1, sandbox: 's1' };
  await ledger.endpoints.put(endpoint);
  untaken.add(id);
  await lookFor(60);
  untaken.delete(id);
  await look();
  untaken.add(id);
  await lookFor(60);
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual([id]);
});

describe('a network that Docker does not have', () => {
  const network = { key: 'blue', fabric: 'routed', internal: false, pools: [], interfacePrefix: 'eth' };
  beforeEach(async () => {
    for (const id of ['d1', 'd2']) {
      await ledger.networks.put({ ...network, id });
      await ledger.pools.put({ id: `r${id}@10.77.0.0/16`, cidr: '10.77.0.0/16', network: id });
    }
    lost.add('d1');
  });

  test('is deleted after a minute in which it never had it', async () => {
    await lookFor(50);
    lost.delete('d1');
    await lookFor(1);
    lost.add('d1');
    await lookFor(60);
    expect(released).toEqual([]);
    await lookFor(1);
    expect(released).toEqual(['d1']);
  });

  test('stays while an endpoint is on it', async () => {
    const { id, mac, addresses } = mine;
    await ledger.endpoints.put({ id, mac, addresses: [...addresses], network: 'd1', slot: 1, sandbox: 's1' });
    await lookFor(70);
    expect(released).toEqual([]);
  });

  test('stays while Docker cannot be asked', async () => {
    dockerAnswers = false;
    await lookFor(70);
    expect(released).toEqual([]);
  });

  test('stays where Docker has none of weft’s at all, for then it is not the one that weft serves', async () => {
    lost.add('d2');
    await lookFor(70);
    expect(released).toEqual([]);
  });
});

test('a pool that the ledger does not know yet may be about to be answered', async () => {
  const reference = records.poolReference.render({ v: 1, host: 'h1', sinceMs: nowMs });
  await put(keys.reference('10.77.0.0/16', 'r1'), reference);
  await lookFor(15);
  expect(released).toEqual([]);
  await look();
  expect(released).toEqual(['r1@10.77.0.0/16']);
});

test('a pool is released when its network is gone, or none was made with it for long, but for a swarm’s', async () => {
  const cidr = '10.77.0.0/16';
  const held = { r1: { network: 'gone' }, r2: {}, r3: {}, r4: { network: 'd1' }, r5: { global: true } };
  for (const [id, made] of Object.entries(held)) {
    const sinceMs = id === 'r2' ? nowMs - 590_000 : 0;
    await put(keys.reference(cidr, id), records.poolReference.render({ v: 1, host: 'h1', sinceMs }));
    await ledger.pools.put({ id: `${id}@${cidr}`, cidr, ...made });
  }
  await ledger.networks.put({
    ...{ id: 'd1', key: 'blue', fabric: 'routed', internal: false, pools: [cidr], interfacePrefix: 'eth' },
  });
  await look();
  expect(released).toEqual([]);
  await look();
  expect(released.toSorted()).toEqual([`r1@${cidr}`, `r3@${cidr}`]);
});
