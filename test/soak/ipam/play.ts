/**
 * One play: hosts on a subnet, steps in rounds, and what must hold after each of them and at rest in the end: no
 * address is had twice, no block has two owners, nothing is held for nobody.
 */
import assert from 'node:assert/strict';
import { type ErrorCode, WeftError } from '../../../src/errors.ts';
import { usable } from '../../../src/ipam/pool.ts';
import { parsePrefix, printAddress } from '../../../src/model/address.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { randomFrom } from '../random.ts';
import { DockerHost } from './docker-host.ts';
import type { Play, Step } from './steps.ts';
import type { Surroundings } from './surroundings.ts';
import { Witness } from './witness.ts';

/** What a user may hear: he asks for what others have, there is no more, the network is gone, the store away. */
const refusals: readonly ErrorCode[] = [
  'conflict',
  'exhausted',
  'not-found',
  'unavailable',
  'timeout',
  'unknown-outcome',
];

const minuteMs = 60_000;

/**
 * @param count told of every operation: each call of Docker's, each look for leftovers, each fault
 * @throws AssertionError when something does not hold
 */
export async function perform(
  { subnet, hosts: hostCount, withGateway, seed, rounds }: Play,
  on: Surroundings,
  count: (operation: string) => void,
): Promise<void> {
  const keys = keysBelow(on.root);
  const witness = new Witness(on.store, on.root, subnet);
  const random = randomFrom(seed);
  let ids = 0;
  let passedMs = 0;
  /** Of each host's clock, from the time. */
  const clockErrorsMs = new Map<string, number>();
  const hosts = await Promise.all(Array.from({ length: hostCount }, (_, index) => newHost(`h${index + 1}`)));

  async function newHost(hostId: string): Promise<DockerHost> {
    const clock = on.clock();
    return new DockerHost({
      ...{ hostId, keys, witness, random, count, root: on.root, pause: on.pause },
      line: await on.line(),
      now: () => 1_700_000_000_000 + passedMs + (clockErrorsMs.get(hostId) ?? 0),
      clock: { now: () => clock.now() + passedMs, sleep: clock.sleep },
      randomId: () => {
        ids += 1;
        return `${hostId}x${String(ids).padStart(9, '0')}`;
      },
    });
  }

  /** As told to Docker by name. */
  function nthAddress(nth: number): string {
    const { family } = parsePrefix(subnet);
    const { first, last } = usable(parsePrefix(subnet));
    return printAddress({ family, value: first + (BigInt(nth) % (last - first + 1n)) });
  }

  function hostAt(index: number): DockerHost {
    const host = hosts[index];
    if (host === undefined) throw new Error(`there is no host ${index}`);
    return host;
  }

  async function attempt(work: Promise<unknown>, mayFail: readonly ErrorCode[] = refusals): Promise<void> {
    await work.catch((error: unknown) => {
      if (!(error instanceof WeftError) || !mayFail.includes(error.code)) throw error;
    });
  }

  async function lookAll(minutes: number): Promise<void> {
    // Docker is answered within seconds, and makes the next call at once: no minutes pass before a network is made.
    if (!hosts.some((host) => host.isMakingNetwork)) passedMs += minutes * minuteMs;
    await Promise.all(hosts.map((host) => attempt(host.look())));
  }

  async function act(step: Step): Promise<void> {
    switch (step.do) {
      case 'start':
        return attempt(hostAt(step.host).start(undefined, step.hesitation));
      case 'start by name':
        return attempt(hostAt(step.host).start(nthAddress(step.nth), step.hesitation));
      case 'ask and forget':
        return attempt(hostAt(step.host).requestAddress(step.byName ? nthAddress(step.nth) : undefined));
      case 'stop':
        return attempt(hostAt(step.host).stop(step.nth));
      case 'release again':
        return attempt(hostAt(step.host).releaseAgain(step.nth));
      case 'create network':
        // Its subnet may have been given back meanwhile.
        return attempt(hostAt(step.host).createNetwork(subnet, { withGateway }), [...refusals, 'invalid']);
      case 'remove network':
        return attempt(hostAt(step.host).removeNetwork());
      case 'pass time':
        for (let look = 0; look < step.looks; look += 1) await lookAll(step.minutes);
        return;
    }
    count('fault');
    switch (step.do) {
      case 'set clock':
        clockErrorsMs.set(hostAt(step.host).id, step.minutes * minuteMs);
        return;
      case 'kill weft':
        return hostAt(step.host).killAt(step.step, step.when);
      case 'cut power':
        return hostAt(step.host).cutPower(step.keepsEndpoints);
      case 'fall silent': {
        const host = hostAt(step.host);
        host.isSilent = true;
        await on.store.transact({ conditions: [], writes: [{ delete: keys.alive(host.id) }] });
        return;
      }
      case 'cut':
        return hostAt(step.host).line.cut();
      case 'stall':
        return hostAt(step.host).line.stall();
      case 'delay news':
        return hostAt(step.host).line.delayNews();
      case 'lose requests':
        return hostAt(step.host).line.loseRequests(step.count);
      case 'lose answers':
        return hostAt(step.host).line.loseAnswers(step.count);
      case 'mend':
        return mend(hostAt(step.host), step.arrives);
      case 'store outage':
        await Promise.all(hosts.map(({ line }) => line.stall()));
        await on.pause(step.steps);
        await Promise.all(hosts.map((host) => mend(host, step.arrives)));
        return;
      case 'forget history':
        return on.compact();
      case 'touch blocks': {
        const { entries } = await on.store.list(keys.allBlocks);
        await Promise.all(
          entries.map(({ key, value, revision }) =>
            on.store.transact({ conditions: [{ key, revision }], writes: [{ put: key, value }] }),
          ),
        );
      }
    }
  }

  async function mend(host: DockerHost, arrives: boolean): Promise<void> {
    host.isSilent = false;
    await host.line.mend(arrives);
  }

  /** Everybody hears of everything, and has the time to give back what is held for nobody. */
  async function rest(looks = 8): Promise<void> {
    for (const host of hosts) host.spare();
    await Promise.all(hosts.map((host) => mend(host, true)));
    for (let look = 0; look < looks; look += 1) {
      const mark = await on.store.transact({
        conditions: [],
        writes: [{ put: `${on.root}mark`, value: '' }],
      });
      assert.equal(mark.outcome, 'committed');
      await Promise.all(hosts.map((host) => host.hears(mark.revision)));
      await lookAll(6);
    }
  }

  try {
    await rest(1);
    for (const host of hosts) await attempt(host.createNetwork(subnet, { withGateway }));
    for (const round of rounds) {
      await Promise.all(
        round.map(async ({ after, step }) => {
          await on.pause(after);
          await act(step);
        }),
      );
      await witness.check();
    }
    await rest();
    await witness.checkAtRest();
    // Whatever there was, it goes on.
    for (const host of hosts) await attempt(host.start(undefined, 0), ['exhausted']);
    await witness.check();

    await Promise.all(hosts.map((host) => host.stopAll()));
    await rest();
    await witness.checkAtRest();
    assert.deepEqual((await on.store.list(keys.allBlocks)).entries, [], 'blocks are owned for nobody');
    await Promise.all(hosts.map((host) => host.removeNetwork()));
    await rest();
    const left = (await on.store.list(on.root)).entries.map(({ key }) => key.slice(on.root.length));
    assert.deepEqual(
      left.filter((key) => !/^(alive\/.*|mark)$/.test(key)),
      [],
      'records are left of nothing',
    );
  } finally {
    for (const host of hosts) host.end();
    await witness.end();
  }
}
