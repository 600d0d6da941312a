import { describe, expect, test } from 'vitest';
import type { LedgerReplica } from '../../../src/agent/ledger.ts';
import type { Recipe } from '../../../src/model/records.ts';
import { type LocalNetwork, nextStep, type Sight } from '../../../src/observe/replication.ts';

const subnet = '10.160.0.0/20';
const elsewhere = '10.160.16.0/20';

/** A network of weft's that Docker has here. */
function local(change: Partial<LocalNetwork> = {}): LocalNetwork {
  return {
    ...{
      id: 'd1',
      name: 'blue',
      driver: 'weft',
      internal: false,
      attachable: false,
      ipv4: true,
      ipv6: false,
    },
    ...{ options: {}, labels: {}, ipam: { driver: 'weft-ipam', options: {}, subnets: [{ subnet }] } },
    ...{ key: subnet, isTold: true, automatic: true },
    ...change,
  };
}

function recipe(change: Partial<Recipe> = {}): Recipe {
  const { automatic: _, isTold: __, key: ___, ...network } = local();
  return { v: 1, ...network, id: 'r1', network: subnet, without: [], epoch: 'e1', ...change };
}

const replica: LedgerReplica = { id: 'blue', recipe: 'r1', network: subnet, docker: 'd1', epoch: 'e1' };
const { docker: _, ...intent } = replica;
const { key: __, ...foreign } = local({ driver: 'bridge' });
const other = recipe({
  id: 'r2',
  network: elsewhere,
  ipam: { driver: 'weft-ipam', options: {}, subnets: [{ subnet: elsewhere }] },
});
const without = recipe({ without: ['h1'] });

function stepAt(sight: Partial<Sight>) {
  return nextStep({
    ...{ host: 'h1', epoch: 'e1', networks: [], recipe: undefined, replica: undefined },
    ...{ exists: () => true, wasRemoved: () => false },
    ...sight,
  });
}

describe('a network that the user has made here', () => {
  test('is offered to all, once', () => {
    expect(stepAt({ networks: [local()] })).toEqual({
      do: 'publish',
      recipe: { ...recipe(), id: 'd1', host: 'h1' },
    });
    expect(stepAt({ networks: [local()], recipe: recipe() })).toEqual({ do: 'note', replica });
    expect(stepAt({ networks: [local()], recipe: recipe(), replica })).toEqual({ do: 'nothing' });
  });

  test('stays where it is if that was asked for', () => {
    const alone = local({ options: { 'weft.replicate': 'off' } });
    expect(stepAt({ networks: [alone] })).toEqual({ do: 'nothing' });
    expect(stepAt({ networks: [alone], recipe: recipe() })).toMatchObject({
      do: 'nothing',
      because: expect.stringContaining('weft.replicate=off'),
    });
  });

  test('gives way to the first of its name, if the subnet is all that differs', () => {
    const late = local();
    expect(stepAt({ networks: [late], recipe: other })).toMatchObject({ do: 'remove', network: late });
    const byCompose = local({ labels: { 'com.docker.compose.version': '2.20.3' } });
    expect(stepAt({ networks: [byCompose], recipe: other })).toMatchObject({
      do: 'remove',
      network: byCompose,
    });
    expect(stepAt({ networks: [late], recipe: { ...other, without: ['h1'] } })).toMatchObject({
      do: 'resume',
    });
  });

  test.each([
    ['its subnet was asked for', local({ automatic: false })],
    ['it has other options', local({ options: { 'weft.fabric': 'vxlan' } })],
    ['it has other labels', local({ labels: { a: 'b' } })],
    ['it is internal', local({ internal: true })],
  ])('is kept beside another of its name, and reported: %s', (_, network) => {
    expect(stepAt({ networks: [network], recipe: other })).toMatchObject({
      do: 'nothing',
      because: expect.stringContaining(elsewhere),
    });
  });

  test('is taken for the one that all have when it joins that by its subnet', () => {
    expect(stepAt({ networks: [local({ automatic: false })], recipe: recipe() })).toEqual({
      do: 'note',
      replica,
    });
    expect(stepAt({ networks: [local()], recipe: without })).toEqual({ do: 'resume', recipe: without });
  });
});

describe('a network that others have', () => {
  test('is made here, and the note of it is made first', () => {
    const create = { do: 'create', recipe: recipe(), replica: intent };
    expect(stepAt({ recipe: recipe() })).toEqual(create);
    expect(stepAt({ recipe: recipe(), replica: intent })).toEqual(create);
    expect(stepAt({ recipe: recipe(), replica: intent, networks: [local()] })).toEqual({
      do: 'note',
      replica,
    });
  });

  test('is not made over one of another driver', () => {
    expect(stepAt({ recipe: recipe(), networks: [foreign] })).toMatchObject({
      do: 'nothing',
      because: expect.stringContaining('driver bridge'),
    });
  });

  test('is not made where the user removed it', () => {
    expect(stepAt({ recipe: without })).toEqual({ do: 'nothing' });
  });

  test('is not made when nobody takes part in it', () => {
    expect(stepAt({ recipe: recipe(), exists: () => false })).toMatchObject({ do: 'discard' });
  });
});

describe('a removal', () => {
  test('by the user is told to the others, then forgotten', () => {
    expect(stepAt({ recipe: recipe(), replica })).toEqual({ do: 'renounce', recipe: recipe() });
    expect(stepAt({ recipe: without, replica })).toEqual({ do: 'forget', replica });
    expect(stepAt({ replica })).toEqual({ do: 'forget', replica });
    expect(stepAt({ recipe: other, replica })).toEqual({ do: 'forget', replica });
  });

  test('is told before its successor of the same name is looked at', () => {
    expect(stepAt({ recipe: recipe(), replica, networks: [local({ id: 'd2' })] })).toEqual({
      ...{ do: 'renounce', recipe: recipe() },
    });
  });

  test('is told also when the network was not noted yet', () => {
    const own = recipe({ host: 'h1' });
    expect(stepAt({ recipe: own })).toEqual({ do: 'renounce', recipe: own });
    expect(stepAt({ recipe: own, networks: [local({ key: elsewhere })] })).toEqual({
      do: 'renounce',
      recipe: own,
    });
    expect(stepAt({ recipe: own, host: 'h2' })).toMatchObject({ do: 'create', recipe: own });
  });

  test('by another host takes it away here', () => {
    expect(stepAt({ replica, networks: [local()] })).toMatchObject({ do: 'remove', network: local() });
    expect(stepAt({ recipe: other, replica, networks: [local()] })).toMatchObject({ do: 'remove' });
  });

  test('just before it was to be made here leaves nothing', () => {
    expect(stepAt({ replica: intent })).toEqual({ do: 'forget', replica: intent });
    expect(stepAt({ replica: intent, networks: [local()] })).toEqual({ do: 'note', replica });
  });

  test('followed by the same network again is none', () => {
    const again = recipe({ id: 'r2' });
    expect(stepAt({ recipe: again, replica, networks: [local()] })).toEqual({
      do: 'note',
      replica: { ...replica, recipe: 'r2' },
    });
  });
});

describe('a store that has lost its data, and so is in another epoch', () => {
  const lost = { replica, epoch: 'e2' };
  const again = { ...recipe(), epoch: 'e1' };
  const noted = { ...replica, epoch: 'e2' };

  test('is told again of the network, as the same, once it is told that it is here', () => {
    const untold = stepAt({ ...lost, networks: [local({ isTold: false })] });
    expect(untold).toMatchObject({ do: 'nothing', because: expect.any(String) });
    expect(stepAt({ ...lost, networks: [local()] })).toEqual({ do: 'publish', recipe: again });
    const first = { ...replica, recipe: 'd1' };
    expect(stepAt({ ...lost, replica: first, networks: [local()] })).toEqual({
      do: 'publish',
      recipe: { ...again, id: 'd1', host: 'h1' },
    });
    expect(stepAt({ ...lost, recipe: again, networks: [local()] })).toEqual({ do: 'note', replica: noted });
    expect(stepAt({ ...lost, recipe: again, replica: noted, networks: [local()] })).toEqual({
      do: 'nothing',
    });
  });

  test('is told again which hosts are left without', () => {
    const left = { ...replica, without: ['h2'] };
    const { without } = left;
    expect(stepAt({ networks: [local()], recipe: { ...recipe(), without }, replica })).toEqual({
      do: 'note',
      replica: left,
    });
    expect(stepAt({ ...lost, replica: left, networks: [local()] })).toEqual({
      do: 'publish',
      recipe: { ...again, without },
    });
  });

  test('is told of a removal once it is told of the network', () => {
    expect(stepAt(lost)).toEqual({ do: 'clear', replica });
    expect(stepAt({ ...lost, recipe: again })).toEqual({ do: 'renounce', recipe: again });
    expect(stepAt({ ...lost, recipe: other })).toEqual({ do: 'forget', replica });
    expect(stepAt({ ...lost, networks: [local({ id: 'd2' })] })).toEqual({ do: 'forget', replica });
  });

  test('makes known a removal also to who was not there when it was told', () => {
    const removed = { ...lost, wasRemoved: (id: string) => id === 'r1' };
    expect(stepAt({ ...removed, networks: [local()] })).toMatchObject({ do: 'remove', network: local() });
    expect(stepAt(removed)).toEqual({ do: 'forget', replica });
  });

  test('takes nothing from the user for the sake of another network that has got the name', () => {
    const own = local({ automatic: false });
    expect(stepAt({ ...lost, recipe: other, networks: [own] })).toMatchObject({
      do: 'nothing',
      because: expect.stringContaining(elsewhere),
    });
    expect(stepAt({ ...lost, recipe: other, networks: [local()] })).toMatchObject({ do: 'remove' });
  });
});

describe('of two networks with one name in Docker', () => {
  const second = local({ id: 'd2', key: elsewhere });
  const networks = [second, local({ automatic: false })];

  test('the one of the other hosts is noted, whichever is listed first', () => {
    expect(stepAt({ networks, recipe: recipe() })).toEqual({ do: 'note', replica });
    expect(stepAt({ networks, recipe: recipe(), replica: intent })).toEqual({ do: 'note', replica });
  });

  test('the other gives way if its subnet is all that differs, else it is reported', () => {
    expect(stepAt({ networks, recipe: recipe(), replica })).toMatchObject({ do: 'remove', network: second });
    for (const change of [{ automatic: false }, { internal: true }]) {
      const other = { ...second, ...change };
      expect(stepAt({ networks: [other, local()], recipe: recipe(), replica })).toMatchObject({
        do: 'nothing',
        because: expect.stringContaining('remove d2'),
      });
    }
    expect(
      stepAt({
        networks: [foreign, local({ id: 'd2' })],
        recipe: recipe(),
        replica: { ...replica, docker: 'd2' },
      }),
    ).toMatchObject({ do: 'nothing', because: expect.stringContaining('remove d1') });
  });
});

test("a network that has its name while one was to be made is the user's own", () => {
  const own = local({ key: elsewhere });
  expect(stepAt({ recipe: recipe(), replica: intent, networks: [own] })).toEqual({
    do: 'forget',
    replica: intent,
  });
});
