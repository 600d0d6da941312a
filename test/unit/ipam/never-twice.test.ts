/**
 * Random operations of three hosts on one pool, at the same time, on a store that loses answers, and freezes
 * with requests under way that take effect when it thaws.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ErrorCode, WeftError } from '../../../src/errors.ts';
import { assignAddress, assignmentsOf, releaseAddress, releaseHeld } from '../../../src/ipam/addresses.ts';
import { usable } from '../../../src/ipam/pool.ts';
import { releasePool, requestPool } from '../../../src/ipam/pools.ts';
import { reserveGateway } from '../../../src/ipam/reservations.ts';
import { parsePrefix, printAddress } from '../../../src/model/address.ts';
import { records } from '../../../src/model/records.ts';
import { ipamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';

type Step =
  | { readonly do: 'assign'; readonly host: number }
  | { readonly do: 'want'; readonly host: number; readonly nth: number }
  | { readonly do: 'release'; readonly host: number; readonly nth: number }
  | { readonly do: 'lose answers'; readonly count: number }
  | { readonly do: 'freeze'; readonly turns: number }
  | { readonly do: 'touch blocks' }
  | { readonly do: 'forget history' };

const host = fc.nat({ max: 2 });
const nth = fc.nat({ max: 200 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('assign'), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('want'), host, nth }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release'), host, nth }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('lose answers'), count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze'), turns: fc.nat({ max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('touch blocks') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget history') }) },
);
/** Each inner list at the same time. */
const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { maxLength: 12 });

it.each([
  '10.0.0.0/8',
  '10.77.0.0/16',
  '10.77.0.0/24',
  '10.77.0.0/28',
  '10.77.0.0/29',
  '10.77.0.0/30',
  '10.77.0.0/31',
  '10.77.0.0/32',
  'fd00::/48',
  'fd00::/64',
  'fd00::/120',
  'fd00::/127',
  'fd00::/128',
])('no address of %s is held twice, and all are free in the end', async (cidr) => {
  await fc.assert(
    fc.asyncProperty(rounds, fc.boolean(), (of, gateway) => play(cidr, of, gateway)),
    { numRuns: 25 },
  );
});

/** What a call may end with while the store does not answer. */
const away: readonly ErrorCode[] = ['timeout', 'unavailable', 'unknown-outcome'];

function hasCode(error: unknown, ...codes: readonly ErrorCode[]): boolean {
  return error instanceof WeftError && codes.includes(error.code);
}

async function play(cidr: string, of: readonly (readonly Step[])[], withGateway: boolean): Promise<void> {
  const store = new FakeStore();
  const prefix = parsePrefix(cidr);
  const hosts = await Promise.all(
    ['h1', 'h2', 'h3'].map((id) => ipamHost(store, id, { random: Math.random })),
  );
  const players = await Promise.all(
    hosts.map(async (ipam) => {
      const { poolId } = await requestPool(ipam, { pool: cidr, options: {}, family: prefix.family });
      return { ipam, poolId, holds: new Set<string>() };
    }),
  );
  const gateway = withGateway
    ? await Promise.all(players.map(({ ipam, poolId }) => reserveGateway(ipam, poolId)))
    : [];
  const { first, last } = usable(prefix);
  const held = () => players.flatMap(({ holds }) => [...holds]);

  async function take(player: (typeof players)[number], wanted?: string): Promise<void> {
    try {
      const address = await assignAddress(player.ipam, player.poolId, wanted);
      expect(held()).not.toContain(address);
      expect(gateway).not.toContain(address);
      player.holds.add(address);
      player.ipam.endpoints.add(address);
    } catch (error) {
      if (!hasCode(error, 'conflict', 'exhausted', ...away)) throw error;
    }
  }

  async function give(player: (typeof players)[number], address: string): Promise<void> {
    player.holds.delete(address);
    player.ipam.endpoints.delete(address);
    await releaseAddress(player.ipam, player.poolId, address).catch((error: unknown) => {
      if (!hasCode(error, ...away)) throw error;
    });
  }

  async function perform(one: Step): Promise<void> {
    switch (one.do) {
      case 'lose answers':
        store.loseAnswers(one.count);
        return;
      case 'forget history':
        store.compact();
        return;
      case 'freeze':
        store.freeze();
        for (let turn = 0; turn < one.turns; turn += 1) await Promise.resolve();
        store.start();
        return;
      case 'touch blocks': {
        // As another host's borrowing does: whoever has read a block is now behind.
        const { entries } = await store.list('/weft/v1/blocks/').catch(() => ({ entries: [] }));
        const writes = entries.map(({ key, value }) => ({ put: key, value }));
        store.writeElsewhere(writes);
        return;
      }
      default: {
        const player = players[one.host];
        if (player === undefined) throw new Error(`no host ${one.host}`);
        if (one.do === 'assign') return take(player);
        if (one.do === 'want') {
          const value = first + (BigInt(one.nth) % (last - first + 1n));
          return take(player, printAddress({ family: prefix.family, value }));
        }
        const address = [...player.holds][one.nth % player.holds.size];
        if (address !== undefined) await give(player, address);
      }
    }
  }

  for (const round of of) await Promise.all(round.map(perform));
  await Promise.all(players.flatMap((player) => [...player.holds].map((address) => give(player, address))));

  // Calls that ended in doubt may have left something behind; that is what the sweep is for.
  store.loseAnswers(0);
  for (const { ipam } of players) {
    await ipam.watcher.until(({ mirror }) => mirror.revision >= store.revision);
    for (const left of assignmentsOf(ipam, ipam.hostId)) await releaseHeld(ipam, left);
  }
  const blocks = (await store.list('/weft/v1/blocks/')).entries.map(({ value }) =>
    records.block.parse(value),
  );
  expect(blocks.flatMap(({ assigned }) => Object.keys(assigned))).toEqual([]);

  await Promise.all(players.map(({ ipam, poolId }) => releasePool(ipam, poolId)));
  expect((await store.list('')).entries).toEqual([]);
  await Promise.all(hosts.map(({ watcher }) => watcher.stop()));
}
