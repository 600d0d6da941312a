/** What becomes of networks when the store that three hosts share has lost its data. */
import { beforeEach, expect, test } from 'vitest';
import type { Entry } from '../../../src/store/store.ts';
import {
  blue,
  boot,
  type Machine,
  machines,
  namesEverywhere,
  patience,
  settlesOn,
  store,
  subnetsOf,
  useMachines,
} from './machines.ts';

useMachines();

let h1: Machine;
let h2: Machine;
let h3: Machine;

beforeEach(async () => {
  h1 = await boot(1);
  h2 = await boot(2);
  h3 = await boot(3);
  await h1.docker.createNetwork(blue);
  await settlesOn('blue');
  await areNoted();
});

const isOffered = () => expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeDefined();
const areNoted = () => {
  const isNoted = ({ weft }: Machine) => weft.ledger.replicas.get('blue')?.docker !== undefined;
  return expect.poll(() => machines.every(isNoted), patience).toBe(true);
};
const isKnown = ({ weft }: Machine) =>
  weft.ledger.networks.all().every(({ id, key }) => weft.recipes.takesPart(key, id));

/** What these write waits until the answer is called. */
function hold(...held: readonly Machine[]): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const machine of held) machine.writing = promise;
  return resolve;
}

const wipe = () => store.writeElsewhere([{ deletePrefix: '/weft/v1/' }]);
/** Its revisions go on from there. */
const restore = (entries: readonly Entry[], revision: bigint) => {
  store.stop();
  store.restore(entries, revision);
  store.start();
};
const losses: readonly [string, () => Promise<void> | void][] = [
  ['wiped by hand', wipe],
  ['made anew', () => restore([], 1n)],
  [
    'emptied of all but what hosts say of themselves',
    async () => {
      const { entries } = await store.list('/weft/v1/');
      const others = entries.filter(({ key }) => !key.startsWith('/weft/v1/hosts/'));
      store.writeElsewhere(others.map(({ key }) => ({ delete: key })));
    },
  ],
  [
    'restored from a backup that does not have the network',
    async () => {
      const { entries, revision } = await store.list('/weft/v1/');
      const isOfNetwork = (key: string) => /\/(networks|recipes|pools|blocks)\//.test(key);
      restore(
        entries.filter(({ key }) => !isOfNetwork(key)),
        revision - 5n,
      );
    },
  ],
];

test.each(losses)('keep their networks and offer them again: %s', async (_how, lose) => {
  await lose();
  await isOffered();
  await expect.poll(() => machines.every(isKnown), patience).toBe(true);
  // A pass begins on every host, and ends.
  await h2.docker.createNetwork({ Name: 'bridged' });
  await boot(4);
  await expect.poll(() => machines.at(-1)?.docker.names(), patience).toEqual(['blue']);
  expect(machines.flatMap(({ docker }) => docker.changes.filter((it) => it.startsWith('DELETE')))).toEqual(
    [],
  );
  await h3.docker.removeNetwork('blue');
  await expect.poll(namesEverywhere, patience).toEqual([[], ['bridged'], [], []]);
});

test.each(losses)(
  'lose one that is removed before a host has told the store of it: %s',
  async (_how, lose) => {
    const release = hold(h2);
    await lose();
    await isOffered();
    await h3.docker.removeNetwork('blue');
    await expect.poll(() => store.get('/weft/v1/recipes/blue'), patience).toBeUndefined();
    release();
    await settlesOn();
    await expect
      .poll(() => machines.every(({ weft }) => weft.ledger.replicas.all().length === 0), patience)
      .toBe(true);
    await isGone();
  },
);

test.each(losses)('lose one that is removed before any has told the store of it: %s', async (_how, lose) => {
  const release = hold(h1, h2, h3);
  await lose();
  await h3.docker.removeNetwork('blue');
  release();
  await settlesOn();
  await isGone();
});

test.each(losses)('lose one that is removed where the loss has not been heard of: %s', async (_how, lose) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  h3.hearing = promise;
  await lose();
  await h3.docker.removeNetwork('blue');
  await expect.poll(() => h3.read.has('/weft/v1/recipes/blue'), patience).toBe(true);
  resolve();
  await settlesOn();
  await isGone();
});

test.each(losses)('lose one that is removed while a host is off: %s', async (_how, lose) => {
  await h2.turnOff();
  await lose();
  await isOffered();
  await h3.docker.removeNetwork('blue');
  await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
  await h2.restart();
  await settlesOn();
  await isGone();
});

test.each(losses)('stay without one that they removed while another uses it: %s', async (_how, lose) => {
  await h2.docker.startContainer(h2.docker.createContainer('blue'));
  await h1.docker.removeNetwork('blue');
  const isLeftWithout = ({ weft }: Machine) => weft.ledger.replicas.get('blue')?.without?.length === 1;
  await expect.poll(() => [h2, h3].every(isLeftWithout), patience).toBe(true);
  await lose();
  await isOffered();
  const h4 = await boot(4);
  await expect.poll(() => h4.docker.names(), patience).toEqual(['blue']);
  expect(namesEverywhere()).toEqual([[], ['blue'], ['blue'], ['blue']]);
});

test.each(losses)(
  'give its name to another while a host is off that still has it: %s',
  async (_how, lose) => {
    const [before] = subnetsOf('blue');
    await h2.turnOff();
    await lose();
    await isOffered();
    await h3.docker.removeNetwork('blue');
    await expect.poll(namesEverywhere, patience).toEqual([[], ['blue'], []]);
    const h4 = await boot(4);
    const Config = [{ Subnet: '10.77.0.0/16' }];
    await h4.docker.createNetwork({ ...blue, IPAM: { ...blue.IPAM, Config } });
    await isOffered();
    await h2.restart();
    await expect.poll(() => subnetsOf('blue')[1], patience).not.toBe(before);
    expect(h4.docker.names()).toEqual(['blue']);
  },
);

/** It has not come back by the time that a host which is new has looked. */
async function isGone(): Promise<void> {
  const h4 = await boot(4);
  await h4.docker.createNetwork({ Name: 'bridged' });
  expect(namesEverywhere()).toEqual([[], [], [], ['bridged']]);
  expect(await store.get('/weft/v1/recipes/blue')).toBeUndefined();
}
