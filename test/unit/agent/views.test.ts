import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork } from '../../../src/agent/ledger.ts';
import { networkOf, Views } from '../../../src/agent/views.ts';
import { records } from '../../../src/model/records.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import { claim, endpoint } from '../fabric/views.ts';
import { testLedger } from './test-ledger.ts';
import { keys } from './weft-host.ts';

const blue: LedgerNetwork = {
  id: 'd1',
  key: 'blue',
  fabric: 'vxlan',
  vni: 77,
  mtu: 1400,
  broadcast: true,
  internal: false,
  pools: ['10.77.0.0/16'],
  interfacePrefix: 'eth',
};
const here: LedgerEndpoint = {
  id: 'e1',
  network: 'd1',
  mac: '02:57:0a:4d:00:02',
  addresses: ['10.77.0.2'],
  slot: 1,
};
const underlay = { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 };

let ledger: Ledger;
let cluster: Cluster;
let views: Views;
let mirror: Mirror;
beforeEach(() => {
  ledger = testLedger();
  mirror = new Mirror(keys.root);
  const host = (id: string, address: string) => ({
    put: keys.host(id),
    value: records.host.render({ v: 1, id, name: id, address }),
  });
  const cidr = '10.77.0.64/26';
  mirror.commit(
    [
      ...[host('h1', '10.9.0.1'), host('h2', '10.9.0.2'), host('h3', '10.66.0.3')],
      { put: keys.claim('10.77.0.0/16', cidr), value: records.claim.render(claim('h2', cidr)) },
      ...[endpoint('h1', '10.77.0.2'), endpoint('h2', '10.77.0.66')].map((record) => ({
        put: keys.endpoint('blue', record.id),
        value: records.endpoint.render(record),
      })),
    ],
    1n,
  );
  cluster = new Cluster(mirror, keys, pino({ level: 'silent' }));
  views = new Views(
    cluster,
    ledger,
    () => underlay,
    () => true,
  );
});

test('a network is seen with all blocks, and with the containers of others as the store has them', async () => {
  await ledger.networks.put(blue);
  await ledger.endpoints.put(here);
  const view = views.network(networkOf(blue), new Map(), () => true);
  expect(view.claims).toEqual([claim('h2', '10.77.0.64/26')]);
  expect(view.remote).toEqual([endpoint('h2', '10.77.0.66')]);
  expect(view.underlay).toEqual(underlay);
});

test('containers of others are seen by hosts that have an endpoint of the network themselves', async () => {
  const remote = () => views.network(networkOf(blue), new Map(), () => true).remote;
  await ledger.networks.put(blue);
  await ledger.networks.put({ ...blue, id: 'd2', key: 'red' });
  await ledger.endpoints.put({ ...here, network: 'd2' });
  expect(remote()).toEqual([]);
  await ledger.endpoints.put({ ...here, id: 'e2' });
  expect(remote()).toHaveLength(1);
  await ledger.endpoints.delete('e2');
  expect(remote()).toEqual([]);
});

test('what was announced last is seen last, whatever it is called', async () => {
  await ledger.networks.put(blue);
  await ledger.endpoints.put(here);
  const moved = { ...endpoint('h3', '10.77.0.66'), id: 'a'.repeat(64) };
  const value = records.endpoint.render(moved);
  mirror.commit([{ put: keys.endpoint('blue', moved.id), value }], 2n);
  const hosts = views.network(networkOf(blue), new Map(), () => true).remote.map(({ host }) => host);
  expect(hosts).toEqual(['h2', 'h3']);
});

test('its own containers are those of the ledger, of every Docker network that is this network', async () => {
  await ledger.networks.put(blue);
  await ledger.networks.put({ ...blue, id: 'd2' });
  await ledger.networks.put({ ...blue, id: 'd3', key: 'red' });
  for (const [id, network] of [
    ['e1', 'd1'],
    ['e2', 'd2'],
    ['e3', 'd3'],
    ['e4', 'd4'],
  ] as const) {
    await ledger.endpoints.put({ ...here, id, network });
  }
  const seen = (isAttached: (endpoint: LedgerEndpoint) => boolean) =>
    views.network(networkOf(blue), new Map(), isAttached).local.map(({ id }) => id);
  expect(seen(() => true)).toEqual(['e1', 'e2']);
  expect(seen(({ id }) => id === 'e2')).toEqual(['e2']);
  const [local] = views.network(networkOf(blue), new Map(), () => true).local;
  expect(local).toMatchObject({ network: 'blue', host: 'h1', slot: 1, addresses: ['10.77.0.2'] });
});

test('a network of the ledger is the record that its host agreed to', () => {
  const overlapping = { ...blue, own: blue.pools };
  const { id: _, interfacePrefix: __, ...agreed } = overlapping;
  expect(networkOf(overlapping)).toEqual({ v: 1, ...agreed });
  const { vni: ___, mtu: ____, ...routed } = blue;
  expect(Object.keys(networkOf(routed))).not.toContain('vni');
});
