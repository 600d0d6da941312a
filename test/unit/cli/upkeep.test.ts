import { beforeEach, expect, test } from 'vitest';
import type { Tending } from '../../../src/agent/tending.ts';
import { type Upkeep, upkeepOf } from '../../../src/cli/upkeep.ts';
import { WeftError } from '../../../src/errors.ts';
import { skippingClock } from '../../fakes/clock.ts';
import { status } from './upkeep.ts';

/** What each look finds; the last one again and again. */
let looks: string[][];
let docker: () => Promise<never[]>;
let repaired: number;
let upkeep: Upkeep;
beforeEach(() => {
  looks = [[]];
  repaired = 0;
  docker = async () => [];
  const tending: Tending = {
    status: async () => status,
    disagreements: async () => (looks.length > 1 ? looks.shift() : looks[0]) ?? [],
    putRight: async () => {
      repaired += 1;
    },
    removeHost: () => Promise.reject(new Error('not asked for')),
  };
  const nothing = { get: () => undefined, all: () => [] };
  upkeep = upkeepOf({
    agent: { tending, ledger: { networks: nothing, endpoints: nothing } },
    docker: { networks: () => docker(), hasNetwork: async () => true, attachments: async () => [] },
    replicationTroubles: () => new Map(),
    clock: skippingClock(),
  });
});

test('what is only under way does not count', async () => {
  looks = [
    ['being made', 'broken'],
    ['broken', 'being removed'],
  ];
  expect(await upkeep.check()).toEqual({ host: 'h1', disagreements: ['broken'] });
});

test('where Docker does not answer, the rest is compared', async () => {
  docker = () => Promise.reject(new WeftError('unavailable', 'cannot ask Docker'));
  looks = [['broken']];
  expect(await upkeep.check()).toEqual({
    ...{ host: 'h1', disagreements: ['broken'], withoutDocker: 'cannot ask Docker' },
  });
});

test('repair does nothing where all agrees', async () => {
  expect(await upkeep.repair()).toEqual({ host: 'h1', disagreements: [], mended: [] });
  expect(repaired).toBe(0);
});

test('repair looks twice, since nothing is given back at the first look, and tells what became of each', async () => {
  looks = [['a', 'b'], ['a', 'b'], ['b']];
  expect(await upkeep.repair()).toEqual({ host: 'h1', mended: ['a'], disagreements: ['b'] });
  expect(repaired).toBe(2);
});
