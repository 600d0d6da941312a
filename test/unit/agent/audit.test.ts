import { expect, test } from 'vitest';
import { audit } from '../../../src/agent/audit.ts';
import { inventoryOf } from '../../../src/agent/inventory.ts';
import { claimOf, withHolder } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import { block, claim, endpoint, network } from '../fabric/views.ts';
import { keys } from './weft-host.ts';

const pool = '10.77.0.0/16';
const nowMs = 1_700_000_000_000;
const e1 = endpoint('h1', '10.77.0.2');
const e2 = endpoint('h2', '10.77.0.66');

/** Two hosts with a network, a block and a container each. */
const sound: Readonly<Record<string, string>> = {
  [keys.config]: records.config.render({ v: 1, range6: 'fd77:1:2::/48' }),
  ...Object.assign({}, ...['h1', 'h2'].map(ofHost)),
  [keys.network('blue')]: records.network.render(network),
  [keys.pool(pool)]: poolRecord({ network: 'blue' }),
  ...ofBlock(block('h1', '10.77.0.0/26', { 2: 'h1' })),
  ...ofBlock(block('h2', '10.77.0.64/26', { 2: 'h2' })),
  ...ofEndpoint(e1),
  ...ofEndpoint(e2),
  [keys.names('blue', e1.id)]: records.names.render({ v: 1, names: ['web'], domain: 'blue' }),
};

function ofHost(id: string): Record<string, string> {
  return {
    [keys.host(id)]: records.host.render({ v: 1, id, name: `${id}.example`, address: '10.9.0.1' }),
    [keys.alive(id)]: id,
    [keys.participant('blue', id)]: records.participant.render({ v: 1, host: id, dockerNetworks: ['d1'] }),
    [keys.reference(pool, `r${id}`)]: records.poolReference.render({ v: 1, host: id, sinceMs: nowMs }),
  };
}

function poolRecord(more: { readonly network?: string; readonly gateway?: string }): string {
  return records.pool.render({ v: 1, cidr: pool, reserved: [], ...more });
}

function ofBlock(record: ReturnType<typeof block>): Record<string, string> {
  const { pool, cidr } = record;
  return {
    [keys.block(pool, cidr)]: records.block.render(record),
    [keys.claim(pool, cidr)]: records.claim.render(claimOf(record)),
  };
}

function ofEndpoint(record: typeof e1): Record<string, string> {
  return { [keys.endpoint(record.network, record.id)]: records.endpoint.render(record) };
}

/** What is found when these keys hold something else, or (undefined) nothing. */
function found(changes: Readonly<Record<string, string | undefined>>): string[] {
  const entries = Object.entries({ ...sound, ...changes }).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value, revision: 1n }],
  );
  return audit(inventoryOf(entries, keys), nowMs);
}

test('in a sound store, all agrees', () => {
  expect(found({})).toEqual([]);
});

const short = (id: string) => id.slice(0, 12);

test.each<[string, Readonly<Record<string, string | undefined>>, string[]]>([
  [
    'a record that is damaged',
    { [keys.config]: '{' },
    ['the record /weft/v1/config cannot be used: a config record is not JSON'],
  ],
  [
    'a record at the key of another',
    { [keys.host('h3')]: sound[keys.host('h1')] },
    ['the record /weft/v1/hosts/h3 cannot be used: it says that it belongs to /weft/v1/hosts/h1'],
  ],
  [
    'a key of nobody',
    { '/weft/v1/x': '' },
    ['the record /weft/v1/x cannot be used: it is no key of this weft'],
  ],
  [
    'a host that is gone',
    { [keys.host('h2')]: undefined },
    ['host h2 is not registered, and networks or addresses are held for it: weft host rm h2'],
  ],
  [
    'a network without its subnet',
    { [keys.pool(pool)]: poolRecord({}) },
    [`network blue has subnet ${pool}, which the store does not have for it`],
  ],
  [
    'a network that no host has',
    { [keys.participant('blue', 'h1')]: undefined, [keys.participant('blue', 'h2')]: undefined },
    ['network blue is in the store, and no host takes part in it'],
  ],
  [
    'two networks of one VNI',
    {
      [keys.network('red')]: records.network.render({ ...network, key: 'red', pools: [] }),
      [keys.participant('red', 'h1')]: sound[keys.participant('blue', 'h1')],
    },
    [`networks blue and red both have VNI ${network.vni}`],
  ],
  [
    'a subnet that no host uses',
    { [keys.reference(pool, 'rh1')]: undefined, [keys.reference(pool, 'rh2')]: undefined },
    [`subnet ${pool} is in the store, and no host uses it`],
  ],
  [
    'subnets that overlap',
    {
      [keys.pool('10.77.64.0/24')]: records.pool.render({ v: 1, cidr: '10.77.64.0/24', reserved: [] }),
      [keys.reference('10.77.64.0/24', 'r')]: sound[keys.reference(pool, 'rh1')],
    },
    [`subnets ${pool} and 10.77.64.0/24 overlap`],
  ],
  [
    'blocks that overlap',
    ofBlock(block('h1', '10.77.0.64/27')),
    [`blocks 10.77.0.64/26 and 10.77.0.64/27 of subnet ${pool} overlap`],
  ],
  [
    'a block of another subnet',
    ofBlock(block('h1', '10.78.0.0/26')),
    [`block 10.78.0.0/26 is of subnet ${pool}, which does not have it`],
  ],
  [
    'a block of which the hosts are told otherwise',
    { [keys.claim(pool, '10.77.0.64/26')]: records.claim.render(claim('h1', '10.77.0.64/26')) },
    [`block 10.77.0.64/26 of subnet ${pool} is host h2's, and the hosts are told otherwise`],
  ],
  [
    'a block of which the hosts are not told',
    { [keys.claim(pool, '10.77.0.64/26')]: undefined },
    [`block 10.77.0.64/26 of subnet ${pool} is host h2's, and the hosts are not told`],
  ],
  [
    'a block that there is not, though the hosts are told of it',
    { [keys.claim(pool, '10.77.0.128/26')]: records.claim.render(claim('h1', '10.77.0.128/26')) },
    [`block 10.77.0.128/26 of subnet ${pool} is told to be host h1's, and is not in the store`],
  ],
  [
    'an address of two containers',
    ofEndpoint(endpoint('h1', '10.77.0.66')),
    [
      `address 10.77.0.66 of network blue is used twice, by endpoint ${short(e2.id)} of host h2 and by endpoint ${short(endpoint('h1', '10.77.0.66').id)} of host h1`,
      `endpoint ${short(endpoint('h1', '10.77.0.66').id)} of host h1 uses address 10.77.0.66 of network blue, which is held for host h2`,
    ],
  ],
  [
    'a container’s address that is free',
    ofBlock(block('h2', '10.77.0.64/26')),
    [`endpoint ${short(e2.id)} of host h2 uses address 10.77.0.66 of network blue, which is held for nobody`],
  ],
  [
    'a container of no network',
    { [keys.network('blue')]: undefined, [keys.pool(pool)]: poolRecord({}) },
    [
      'hosts take part in network blue, which is not in the store',
      `endpoint ${short(e1.id)} of host h1 is of network blue, which is not in the store`,
      `endpoint ${short(e2.id)} of host h2 is of network blue, which is not in the store`,
      `address 10.77.0.2 of subnet ${pool} is held for host h1, and no container has it`,
      `address 10.77.0.66 of subnet ${pool} is held for host h2, and no container has it`,
    ],
  ],
  [
    'a name of no container',
    { [keys.names('blue', 'e9')]: sound[keys.names('blue', e1.id)] },
    ['endpoint e9 of network blue has names, and is not in the store'],
  ],
  [
    'a container with the gateway’s address',
    { [keys.pool(pool)]: poolRecord({ network: 'blue', gateway: '10.77.0.2' }) },
    [`address 10.77.0.2 of subnet ${pool} is held for host h1, and is the gateway`],
  ],
  [
    'an address held for no container, for long',
    { ...ofBlock(block('h2', '10.77.0.64/26', { 2: 'h2', 3: 'h2' })) },
    [`address 10.77.0.67 of subnet ${pool} is held for host h2, and no container has it`],
  ],
])('%s is named', (_, changes, sentences) => {
  expect(found(changes).toSorted()).toEqual(sentences.toSorted());
});

test('an address that was given out a moment ago needs no container yet', () => {
  const record = block('h2', '10.77.0.64/26', { 2: 'h2' });
  const young = { host: 'h2', operation: 'o', sinceMs: nowMs - 60_000 };
  expect(found(ofBlock(withHolder(record, 3, young)))).toEqual([]);
});
