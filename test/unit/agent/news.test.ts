import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Ledger, LedgerNetwork } from '../../../src/agent/ledger.ts';
import { newsRouter } from '../../../src/agent/news.ts';
import { records } from '../../../src/model/records.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import { claim } from '../fabric/views.ts';
import { testLedger } from './test-ledger.ts';
import { keys } from './weft-host.ts';

const blue: LedgerNetwork = {
  id: 'd1',
  key: 'blue',
  fabric: 'routed',
  internal: false,
  pools: ['10.77.0.0/16'],
  interfacePrefix: 'eth',
};
const red: LedgerNetwork = {
  ...blue,
  id: 'd2',
  key: 'red',
  fabric: 'vxlan',
  vni: 77,
  pools: ['10.78.0.0/16'],
};
const blockKey = keys.claim('10.77.0.0/16', '10.77.0.64/26');

let ledger: Ledger;
let mirror: Mirror;
let route: ReturnType<typeof newsRouter>;
beforeEach(async () => {
  ledger = testLedger();
  mirror = new Mirror(keys.root);
  route = newsRouter(ledger, new Cluster(mirror, keys, pino({ level: 'silent' })));
  await ledger.networks.put(blue);
  await ledger.networks.put(red);
});

function scopesOf(changed: readonly string[]): unknown {
  return route(changed.flatMap((key) => keys.parse(key) ?? []));
}

/** The scopes of the news that the block is so now. */
function scopesOfBlock(owner: string, assigned: Readonly<Record<string, string>>): unknown {
  const value = records.claim.render(claim(owner, '10.77.0.64/26', assigned));
  mirror.commit([{ put: blockKey, value }], mirror.revision + 1n);
  mirror.apply({ type: 'events', events: [], revision: mirror.revision + 1n });
  return scopesOf([blockKey]);
}

const host = new Set(['host']);
const nothing = new Set();

test('a host that comes, goes or moves bears on everything', () => {
  expect(scopesOf([keys.network('x'), keys.host('h2')])).toBe('all');
});

test('a block bears on the host’s routes when it is claimed, changes hands or goes', () => {
  expect(scopesOfBlock('h2', {})).toEqual(host);
  expect(scopesOfBlock('h3', {})).toEqual(host);
  mirror.commit([{ delete: blockKey }], mirror.revision + 1n);
  expect(scopesOf([blockKey])).toEqual(host);
});

test('addresses that its owner gives out bear on nothing, those lent to others on the routes', () => {
  scopesOfBlock('h2', {});
  expect(scopesOfBlock('h2', { 3: 'h2' })).toEqual(nothing);
  expect(scopesOfBlock('h2', { 3: 'h2', 4: 'h3' })).toEqual(host);
  expect(scopesOfBlock('h2', { 4: 'h3' })).toEqual(nothing);
  expect(scopesOfBlock('h2', { 4: 'h1' })).toEqual(host);
  expect(scopesOfBlock('h2', {})).toEqual(host);
});

test('a block of a network that is not on this host, or has a namespace of its own, bears on nothing', async () => {
  for (const pool of ['10.78.0.0/16', '10.99.0.0/16']) {
    expect(scopesOf([keys.claim(pool, pool.replace('/16', '/26'))])).toEqual(nothing);
  }
  await ledger.networks.delete('d1');
  expect(scopesOfBlock('h2', {})).toEqual(nothing);
});

test('a container bears on its segment, and on no other network', () => {
  expect(scopesOf([keys.endpoint('red', 'e1'), keys.endpoint('red', 'e2')])).toEqual(new Set(['weft-77']));
  expect(scopesOf([keys.endpoint('blue', 'e1')])).toEqual(nothing);
  expect(scopesOf([keys.endpoint('elsewhere', 'e1')])).toEqual(nothing);
});

test('what this weft does not know bears on nothing', () => {
  expect(scopesOf([`${keys.root}tables/4`, keys.pool('10.77.0.0/16')])).toEqual(nothing);
});
