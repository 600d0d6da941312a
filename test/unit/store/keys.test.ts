import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysBelow, type Place } from '../../../src/store/keys.ts';

const keys = keysBelow('/weft/v1/');

/** One row a kind of key: the builder's answer, its text, and what it names. */
const rows: [string, string, Place][] = [
  [keys.host('h1'), '/weft/v1/hosts/h1', { kind: 'host', host: 'h1' }],
  [keys.config, '/weft/v1/config', { kind: 'config' }],
  [keys.alive('h1'), '/weft/v1/alive/h1', { kind: 'alive', host: 'h1' }],
  [keys.network('blue'), '/weft/v1/networks/blue', { kind: 'network', network: 'blue' }],
  [
    keys.participant('10.77.0.0/16', 'h1'),
    '/weft/v1/networks/10.77.0.0%2F16/hosts/h1',
    { kind: 'participant', network: '10.77.0.0/16', host: 'h1' },
  ],
  [keys.pool('10.77.0.0/16'), '/weft/v1/pools/10.77.0.0-16', { kind: 'pool', pool: '10.77.0.0/16' }],
  [
    keys.pool('fd00::/64@blue-net'),
    '/weft/v1/pools/fd00::-64@blue-net',
    { kind: 'pool', pool: 'fd00::/64@blue-net' },
  ],
  [
    keys.reference('fd00::/64', 'r-1'),
    '/weft/v1/pools/fd00::-64/references/r-1',
    { kind: 'reference', pool: 'fd00::/64', reference: 'r-1' },
  ],
  [
    keys.block('10.77.0.0/16', '10.77.0.64/26'),
    '/weft/v1/unwatched/blocks/10.77.0.0-16/10.77.0.64-26',
    { kind: 'block', pool: '10.77.0.0/16', block: '10.77.0.64/26' },
  ],
  [
    keys.endpoint('blue', 'ab12'),
    '/weft/v1/endpoints/blue/ab12',
    { kind: 'endpoint', network: 'blue', endpoint: 'ab12' },
  ],
  [
    keys.names('blue', 'ab12'),
    '/weft/v1/names/blue/ab12',
    { kind: 'names', network: 'blue', endpoint: 'ab12' },
  ],
  [keys.epoch, '/weft/v1/epoch', { kind: 'epoch' }],
  [keys.removal('ab12'), '/weft/v1/removed/ab12', { kind: 'removal', recipe: 'ab12' }],
  [keys.recipe('my net'), '/weft/v1/recipes/my%20net', { kind: 'recipe', name: 'my net' }],
];

test.each(rows)('%s', (built, text, place) => {
  expect(built).toBe(text);
  expect(keys.parse(text)).toEqual(place);
});

test('any name is one segment, and comes back', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      fc.string({ minLength: 1 }),
      (network, endpoint) => {
        const key = keys.endpoint(network, endpoint);
        expect(key.split('/')).toHaveLength(6);
        expect(keys.parse(key)).toEqual({ kind: 'endpoint', network, endpoint });
        expect(key.startsWith(keys.endpoints(network))).toBe(true);
        expect(key.startsWith(keys.endpoints(`${network}x`))).toBe(false);
      },
    ),
  );
});

test('each key lies below the prefixes that list it', () => {
  const { participant, participants, networks, reference, references, pools, block, blocks, allBlocks } =
    keys;
  for (const prefix of [networks, participants('n')])
    expect(participant('n', 'h').startsWith(prefix)).toBe(true);
  for (const prefix of [pools, references('10.0.0.0/8')]) {
    expect(reference('10.0.0.0/8', 'r').startsWith(prefix)).toBe(true);
  }
  for (const prefix of [allBlocks, blocks('10.0.0.0/8')]) {
    expect(block('10.0.0.0/8', '10.0.0.0/26').startsWith(prefix)).toBe(true);
  }
  expect(keys.host('h').startsWith(keys.hosts)).toBe(true);
  expect(keys.alive('h').startsWith(keys.allAlive)).toBe(true);
  expect(keys.endpoint('n', 'e').startsWith(keys.allEndpoints)).toBe(true);
});

test.each([
  '/other/hosts/h1',
  '/weft/v1/',
  '/weft/v1/hosts',
  '/weft/v1/hosts/',
  '/weft/v1/hosts/a/b',
  '/weft/v1/networks/n/peers/h',
  '/weft/v1/endpoints//e',
  '/weft/v1/endpoints/n/e/more',
  '/weft/v1/hosts/%E0%A4%A',
  '/weft/v1/future/thing',
  '/weft/v1/pools/nonsense',
  '/weft/v1/pools/10.77.0.5-16',
  '/weft/v1/unwatched/blocks/10.77.0.0-16/x',
])('%s names nothing that this version knows', (text) => {
  expect(keys.parse(text)).toBeUndefined();
});
