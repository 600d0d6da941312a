/** Records that no weft of this version has written: left out and named, one by one; the rest goes on. */
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Recipe } from '../../../src/model/records.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createNetwork,
  freshKernel,
  keys,
  letPass,
  type MadeNetwork,
  resyncMs,
  startContainer,
  startHost,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

let store: FakeStore;
let [h1, h2]: WeftHost[] = [];
let lines: { readonly key?: string; readonly msg: string; readonly reason?: string }[];
let networks: { readonly [name: string]: readonly [MadeNetwork, MadeNetwork] };

const subnets = { blue: '10.77.0.0/16', red: '10.78.0.0/16', green: '10.79.0.0/16', grey: '10.80.0.0/16' };

const blueRecipe: Recipe = {
  v: 1,
  ...{ id: 'blue', name: 'blue', network: 'blue', driver: 'weft', without: [] },
  ...{ internal: false, attachable: false, ipv4: true, ipv6: false, options: {}, labels: {} },
  ipam: { driver: 'weft-ipam', options: {}, subnets: [{ subnet: subnets.blue }] },
};

beforeEach(async () => {
  store = new FakeStore();
  lines = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const [first, second] = [startHost(store, 1, freshKernel(1), log), startHost(store, 2)];
  [h1, h2] = [first, second];
  networks = Object.fromEntries(
    await Promise.all(
      Object.entries(subnets).map(async ([name, subnet]) => {
        const fabric = ['red', 'grey'].includes(name) ? 'vxlan' : 'routed';
        const of = { id: name, subnet, options: { 'weft.network': name, 'weft.fabric': fabric } };
        const here = await createNetwork(first, of);
        const there = await createNetwork(second, of);
        return [name, [here, there]];
      }),
    ),
  );
  for (const name of ['blue', 'red']) {
    await startContainer(first, at(name, 0), `${name}1`);
    await startContainer(second, at(name, 1), `${name}2`);
  }
  const { endpoint } = await startContainer(second, at('blue', 1), 'web');
  await second.nameBook.write(endpoint, ['web'], 'blue');
  await second.recipes.publish(blueRecipe);
});

function at(name: string, side: 0 | 1): MadeNetwork {
  const made = networks[name]?.[side];
  if (made === undefined) throw new Error(`there is no network ${name}`);
  return made;
}

const damages: Readonly<Record<string, (value: string, other: string) => string>> = {
  'that is empty': () => '',
  'that is cut off': (value) => value.slice(0, value.length / 2),
  'that is no object': () => '[1]',
  'of a newer weft': (value) => value.replace('"v":1', '"v":2'),
  'whose texts are nonsense': (value) =>
    value.replace(/:"[^"]*"/g, ':"nonsense"').replace(/\["[^"]*"/g, '["nonsense"'),
  'that is as deep as it is long': () => '['.repeat(100_000),
  'that is a copy of another': (_value, other) => other,
};

const kinds: Readonly<Record<string, (prefix: typeof keys) => string>> = {
  host: ({ hosts }) => hosts,
  endpoint: ({ endpoints }) => endpoints('blue'),
  'endpoint on a segment': ({ endpoints }) => endpoints('red'),
  claim: ({ claims }) => claims(subnets.blue),
  block: ({ blocks }) => blocks(subnets.blue),
  pool: ({ pool }) => pool(subnets.blue),
  reference: ({ references }) => references(subnets.blue),
  network: ({ network }) => network('blue'),
  participant: ({ participants }) => participants('blue'),
  recipe: ({ recipes }) => recipes,
  names: ({ namesOn }) => namesOn('blue'),
};

/** Those that a host reads of others though it is asked nothing. */
const read = ['host', 'endpoint', 'endpoint on a segment', 'claim', 'recipe'];

describe.each(Object.entries(kinds))('a %s record', (kind, prefixOf) => {
  test.each(Object.entries(damages))('%s is named, and everything else goes on', async (_how, damage) => {
    const { entries } = await store.list(prefixOf(keys));
    // The other host's, where each has one.
    const entry = entries.find(({ value }) => value.includes(h2?.id ?? '')) ?? entries[0];
    const { entries: others } = await store.list(keys.root);
    const other = others.find(({ key }) => key.includes(subnets.grey.replace('/', '-')));
    if (entry === undefined || h1 === undefined || h2 === undefined) throw new Error(`there is no ${kind}`);
    const { key, value } = entry;
    store.writeElsewhere([{ put: key, value: damage(value, other?.value ?? '') }]);
    await letPass(2 * resyncMs);
    expect(h1.recipes.all()?.recipes).toHaveLength(kind === 'recipe' ? 0 : 1);
    expect(h1.recipes.isTaken('blue')).toBe(true);
    expect(h1.recipes.hasNetwork('blue')).toBe(true);
    const names = h1.nameBook.members('blue').flatMap((member) => member.names);
    expect(names.includes('web')).toBe(kind !== 'names');

    const here = await startContainer(h1, at('green', 0), 'green1');
    expect(here.address).toBe('10.79.0.2');
    if (read.includes(kind)) expect(lines.filter((line) => line.key === key)).toHaveLength(1);
    expect(lines.filter((line) => line.key !== undefined && line.key !== key)).toEqual([]);
    // A host writes its own again.
    if (kind === 'host') return;
    await startContainer(h2, at('green', 1), 'green2');
    await startContainer(h2, at('grey', 1), 'grey2');
    await until(
      () => h1?.kernel.host.routes().some(({ destination }) => destination === '10.79.0.64/26') === true,
    );
    expect(lines.filter(({ msg }) => msg.startsWith('a pass failed'))).toEqual([]);
  });
});

test('keys below weft’s prefix that are none of its own stand in nobody’s way', async () => {
  const strange = ['pools/nonsense', 'pools/10.77.0.5-16', 'claims/10.79.0.0-16/x', 'hosts/%ff', 'a/b/c/d/e'];
  store.writeElsewhere(strange.map((key) => ({ put: keys.root + key, value: '{"v":1}' })));
  if (h1 === undefined) throw new Error('there is no host');
  const { cidr } = await h1.addresses.requestPool({ options: {}, family: 4 });
  expect(cidr).toBe('10.160.0.0/20');
  expect((await startContainer(h1, at('green', 0), 'green1')).address).toBe('10.79.0.2');
  await letPass(2 * resyncMs);
  expect(lines.filter(({ msg }) => msg.startsWith('a pass failed'))).toEqual([]);
});
