/**
 * Random operations of three hosts on one pool, at the same time, on a store that loses answers, freezes with requests
 * under way that take effect when it thaws, and is away from any of them, which go on as they do then.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Announcements, announcementsTo } from '../../../src/agent/announcements.ts';
import { type ErrorCode, WeftError } from '../../../src/errors.ts';
import { assignAddress, assignments, releaseAddress, releaseHeld } from '../../../src/ipam/addresses.ts';
import { assignSpare, givenAddresses, keepOwn, releaseSpare } from '../../../src/ipam/outage.ts';
import { usable } from '../../../src/ipam/pool.ts';
import { releasePool, requestPool } from '../../../src/ipam/pools.ts';
import { abandonedBlocks, emptyBlocks, giveBackBlock, reclaimAddresses } from '../../../src/ipam/reclaim.ts';
import { reserveGateway } from '../../../src/ipam/reservations.ts';
import { parseAddress, parsePrefix, printAddress } from '../../../src/model/address.ts';
import { type Endpoint, records } from '../../../src/model/records.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { type CutStore, cuttable } from '../../fakes/cut-store.ts';
import { type IpamHost, ipamHost } from '../../fakes/ipam-host.ts';
import { FakeStore } from '../../fakes/store.ts';

type Step =
  | { readonly do: 'assign'; readonly host: number; readonly turns: number }
  | { readonly do: 'want'; readonly host: number; readonly nth: number; readonly turns: number }
  | { readonly do: 'contest'; readonly host: number; readonly nth: number; readonly turns: number }
  | { readonly do: 'release'; readonly host: number; readonly nth: number }
  | { readonly do: 'tidy'; readonly host: number }
  | { readonly do: 'reclaim'; readonly host: number; readonly from: number; readonly turns: number }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'lose answers'; readonly count: number }
  | { readonly do: 'freeze'; readonly turns: number }
  | { readonly do: 'cut'; readonly host: number }
  | { readonly do: 'mend'; readonly host: number }
  | { readonly do: 'touch blocks' }
  | { readonly do: 'forget history' };

const host = fc.nat({ max: 2 });
/** What else may happen in between. */
const turns = fc.nat({ max: 60 });
const nth = fc.nat({ max: 200 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('assign'), host, turns }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('want'), host, nth, turns }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('contest'), host, nth, turns }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release'), host, nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tidy'), host }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reclaim'), host, from: host, turns }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait'), minutes: fc.integer({ min: -3, max: 9 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('lose answers'), count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze'), turns }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut'), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mend'), host }) },
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

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
}

interface Player {
  readonly ipam: IpamHost;
  readonly way: CutStore;
  readonly poolId: string;
  readonly announcements: Announcements;
  /** Endpoint by address. */
  readonly holds: Map<string, string>;
  /** Those that the store has still to be told of, by address. */
  readonly untold: Map<string, Endpoint>;
}

async function play(cidr: string, of: readonly (readonly Step[])[], withGateway: boolean): Promise<void> {
  const store = new FakeStore();
  const prefix = parsePrefix(cidr);
  let nowMs = 1_700_000_000_000;
  const players = await Promise.all(
    ['h1', 'h2', 'h3'].map(async (id): Promise<Player> => {
      const way = cuttable(store);
      const ipam = await ipamHost(way, id, { random: Math.random, now: () => nowMs });
      const request = { pool: cidr, options: { 'weft.network': 'blue' }, family: prefix.family };
      const { poolId } = await requestPool(ipam, request);
      const known = { holds: new Map(), untold: new Map() };
      return { ipam, way, poolId, announcements: announcementsTo(ipam), ...known };
    }),
  );
  store.writeElsewhere([{ put: '/weft/v1/networks/blue', value: '{}' }]);
  const gateway = withGateway
    ? await Promise.all(players.map(({ ipam, poolId }) => reserveGateway(ipam, poolId)))
    : [];
  const { first, last } = usable(prefix);
  const keys = keysBelow('/weft/v1/');
  const held = () => players.flatMap(({ holds }) => [...holds.keys()]);

  /** As a container's start: RequestAddress, and CreateEndpoint, which refuses what the host uses already. */
  async function take(player: Player, turns: number, wanted?: string): Promise<void> {
    const { ipam, announcements } = player;
    const address = await eitherWay(
      () => assignAddress(ipam, player.poolId, wanted),
      () => assignSpare(ipam, player.poolId, wanted === undefined ? {} : { wanted }),
    );
    expect(gateway).not.toContain(address);
    await pass(turns);
    if (ipam.endpoints.has(address)) return;
    ipam.endpoints.add(address);
    const id = ipam.randomId();
    const of = { network: 'blue', host: ipam.hostId, mac: '02:00:00:00:00:01' };
    const endpoint = { v: 1 as const, id, ...of, addresses: [address] };
    try {
      const isTold = await eitherWay(
        () => announcements.announce(endpoint, [cidr]).then(() => 'told'),
        async () => ((await keepOwn(ipam, [cidr], [address])) ? 'untold' : undefined),
      );
      if (isTold === 'untold') player.untold.set(address, endpoint);
    } catch (error) {
      ipam.endpoints.delete(address);
      throw error;
    }
    expect(held()).not.toContain(address);
    player.holds.set(address, id);
  }

  async function give(player: Player, address: string, id: string): Promise<void> {
    player.holds.delete(address);
    player.untold.delete(address);
    player.ipam.endpoints.delete(address);
    const done = () => true;
    const takeBack = () => releaseSpare(player.ipam, cidr, parseAddress(address)).then(done);
    await eitherWay(() => player.announcements.withdraw('blue', id).then(done), takeBack);
    await eitherWay(() => releaseAddress(player.ipam, player.poolId, address).then(done), takeBack);
  }

  /** What came to be while the store was away is in it afterwards. */
  async function tell({ announcements, untold }: Player): Promise<void> {
    for (const [address, endpoint] of [...untold]) {
      try {
        await announcements.announce(endpoint, [cidr]);
        untold.delete(address);
      } catch (error) {
        if (hasCode(error, ...away) || !untold.has(address)) continue;
        throw new Error(`${address} is lost`, { cause: error });
      }
    }
  }

  async function eitherWay<T>(
    withStore: () => Promise<T>,
    without: () => Promise<T | undefined>,
  ): Promise<T> {
    try {
      return await withStore();
    } catch (error) {
      const done = hasCode(error, ...away) ? await without() : undefined;
      if (done === undefined) throw error;
      return done;
    }
  }

  /** What may be refused, is; and what the store's absence leaves undone is for the sweep in the end. */
  async function attempt(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (!hasCode(error, 'conflict', 'exhausted', ...away)) throw error;
    });
  }

  /** Nothing, where it would have to be read first. */
  async function found<T>(look: Promise<T[]>): Promise<T[]> {
    try {
      return await look;
    } catch (error) {
      if (!hasCode(error, ...away)) throw error;
      return [];
    }
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
        await pass(one.turns);
        store.start();
        return;
      case 'cut':
        playerAt(one.host).way.cut();
        return;
      case 'mend': {
        const player = playerAt(one.host);
        player.way.mend();
        await tell(player);
        return;
      }
      case 'touch blocks': {
        // As another host's borrowing does: whoever has read a block is now behind.
        const list = async (prefix: string) =>
          (await store.list(prefix).catch(() => ({ entries: [] }))).entries;
        const entries = [...(await list(keys.allBlocks)), ...(await list(keys.allClaims))];
        const writes = entries.map(({ key, value }) => ({ put: key, value }));
        store.writeElsewhere(writes);
        return;
      }
      case 'wait':
        nowMs += one.minutes * 60_000;
        return;
      case 'tidy': {
        const { ipam } = playerAt(one.host);
        const empty = await found(emptyBlocks(ipam, (owner) => owner === ipam.hostId));
        await Promise.all(empty.map((block) => attempt(giveBackBlock(ipam, block))));
        return;
      }
      case 'reclaim': {
        await pass(one.turns);
        // Though the other host is well: it was not heard of for long enough.
        const { ipam } = playerAt(one.host);
        const { hostId } = playerAt(one.from).ipam;
        const abandoned = await found(abandonedBlocks(ipam, hostId));
        await Promise.all(abandoned.map((block) => attempt(reclaimAddresses(ipam, block, hostId))));
        const empty = await found(emptyBlocks(ipam, (owner) => owner === hostId));
        await Promise.all(empty.map((block) => attempt(giveBackBlock(ipam, block))));
        return;
      }
      case 'assign':
        return attempt(take(playerAt(one.host), one.turns));
      case 'want': {
        const value = first + (BigInt(one.nth) % (last - first + 1n));
        return attempt(take(playerAt(one.host), one.turns, printAddress({ family: prefix.family, value })));
      }
      case 'contest': {
        // What somebody has, perhaps this host itself.
        const all = held();
        const address = all[one.nth % all.length];
        if (address !== undefined) await attempt(take(playerAt(one.host), one.turns, address));
        return;
      }
      case 'release': {
        const player = playerAt(one.host);
        const [address, id] = [...player.holds][one.nth % player.holds.size] ?? [];
        if (address !== undefined && id !== undefined) await attempt(give(player, address, id));
      }
    }
  }

  function playerAt(index: number): Player {
    const player = players[index];
    if (player === undefined) throw new Error(`no host ${index}`);
    return player;
  }

  for (const round of of) await Promise.all(round.map(perform));
  for (const player of players) {
    player.way.mend();
    await player.ipam.watcher.until(({ mirror }) => mirror.connected);
    await tell(player);
    for (const [address, id] of [...player.holds]) await attempt(give(player, address, id));
  }

  // Calls that ended in doubt may have left something behind; that is what the sweep is for.
  store.loseAnswers(0);
  for (const { ipam } of players) {
    await ipam.watcher.until(({ mirror }) => mirror.revision >= store.revision);
    for (const left of [...(await assignments(ipam)), ...givenAddresses(ipam)]) await releaseHeld(ipam, left);
  }
  store.writeElsewhere([{ deletePrefix: '/weft/v1/endpoints/' }, { delete: '/weft/v1/networks/blue' }]);
  const blocks = (await store.list(keys.allBlocks)).entries.map(({ value }) => records.block.parse(value));
  expect(blocks.flatMap(({ assigned }) => Object.keys(assigned))).toEqual([]);

  await Promise.all(players.map(({ ipam, poolId }) => releasePool(ipam, poolId)));
  expect((await store.list('')).entries).toEqual([]);
  await Promise.all(players.map(({ ipam }) => ipam.watcher.stop()));
}
