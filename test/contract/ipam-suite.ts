/** Address management of several hosts, on whatever store they share: run over the real one and the fake. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assignAddress, assignments, releaseAddress } from '../../src/ipam/addresses.ts';
import { releasePool, requestPool } from '../../src/ipam/pools.ts';
import { reserveAddress, reserveGateway } from '../../src/ipam/reservations.ts';
import { systemClock } from '../../src/store/clock.ts';
import { type Store, type Transaction, withTransact } from '../../src/store/store.ts';
import { type IpamHost, ipamHost } from '../fakes/ipam-host.ts';

export interface SharedStore {
  readonly store: Store;
  /** The next transaction takes effect and its answer is lost, until `mend`. */
  loseAnswers(): Promise<void>;
  mend(): Promise<void>;
  dispose(): Promise<void>;
}

let made = 0;

export function ipamSuite(name: string, open: () => Promise<SharedStore>): void {
  describe(name, () => {
    let shared: SharedStore;
    let root: string;
    let hosts: readonly IpamHost[];
    let sent: Transaction[];

    beforeEach(async () => {
      shared = await open();
      sent = [];
      made += 1;
      root = `/ipam-suite-${made}/`;
      const options = { root, clock: systemClock, random: Math.random };
      hosts = await Promise.all(['h1', 'h2', 'h3'].map((id) => ipamHost(counting(shared), id, options)));
    });

    afterEach(async () => {
      await Promise.all(hosts.map(({ watcher }) => watcher.stop()));
      await shared.dispose();
    });

    /** Counts transactions; mends the store as soon as an answer was found to be lost. */
    function counting({ store, mend }: SharedStore): Store {
      return withTransact(store, async (transaction) => {
        sent.push(transaction);
        const outcome = await store.transact(transaction);
        if (outcome.outcome === 'unknown') await mend();
        return outcome;
      });
    }

    async function poolOnAll(pool: string): Promise<{ readonly host: IpamHost; readonly poolId: string }[]> {
      const family = pool.includes(':') ? 6 : 4;
      return Promise.all(
        hosts.map(async (host) => {
          const { poolId } = await requestPool(host, { pool, options: {}, family });
          return { host, poolId };
        }),
      );
    }

    /** Once the host knows all that it needs to, so that it does not read first. */
    async function loseNextAnswer(host: IpamHost): Promise<void> {
      const entries = (await shared.store.list(root)).entries.filter(({ key }) => key < host.keys.unwatched);
      await host.watcher.until(
        ({ mirror }) =>
          mirror.connected && entries.every(({ key, revision }) => mirror.get(key)?.revision === revision),
      );
      await assignments(host);
      await shared.loseAnswers();
    }

    const left = async () => (await shared.store.list(root)).entries.map(({ key }) => key);

    test.each(['10.77.0.0/24', 'fd00::/120'])('%s lives and goes with its references', async (cidr) => {
      const members = await poolOnAll(cidr);
      const gateways = await Promise.all(members.map(({ host, poolId }) => reserveGateway(host, poolId)));
      expect(new Set(gateways).size).toBe(1);
      const aside = cidr.includes(':') ? 'fd00::9' : '10.77.0.9';
      for (const { host, poolId } of members) await reserveAddress(host, poolId, aside);

      const given = await Promise.all(members.map(({ host, poolId }) => assignAddress(host, poolId)));
      expect(new Set([...given, ...gateways, aside]).size).toBe(5);
      for (const { host, poolId } of members) await releasePool(host, poolId);
      expect(await left()).toEqual([]);
    });

    test('a small subnet is used up to its last address, by lending', async () => {
      const members = await poolOnAll('10.77.0.0/27');
      const taken: string[] = [];
      for (let index = 0; index < 30; index += 1) {
        const member = members[index % members.length];
        if (member !== undefined) taken.push(await assignAddress(member.host, member.poolId));
      }
      expect(new Set(taken).size).toBe(30);
      for (const { host, poolId } of members) {
        await expect(assignAddress(host, poolId)).rejects.toMatchObject({ code: 'exhausted' });
      }
      const held = (await Promise.all(hosts.map(assignments))).flat();
      expect(held.map(({ address }) => address).sort()).toEqual(taken.sort());
    });

    test('hosts that start containers at the same time get distinct addresses, at one transaction each', async () => {
      const members = await poolOnAll('10.77.0.0/16');
      for (const { host, poolId } of members) await assignAddress(host, poolId);
      const before = sent.length;
      const given = await Promise.all(
        members.flatMap(({ host, poolId }) => Array.from({ length: 20 }, () => assignAddress(host, poolId))),
      );
      expect(new Set(given).size).toBe(60);
      expect(sent.length - before).toBe(60);
    });

    test('networks that are made at the same time get distinct subnets', async () => {
      const pools = await Promise.all(hosts.map((host) => requestPool(host, { options: {}, family: 4 })));
      expect(new Set(pools.map(({ cidr }) => cidr)).size).toBe(hosts.length);
    });

    test('of overlapping subnets asked for at the same time, one is made', async () => {
      const cidrs = ['10.77.0.0/16', '10.77.4.0/24', '10.0.0.0/8'];
      const answers = await Promise.allSettled(
        hosts.map((host, index) => requestPool(host, { pool: cidrs[index] ?? '', options: {}, family: 4 })),
      );
      const made = answers.filter(({ status }) => status === 'fulfilled');
      expect(made).toHaveLength(1);
      for (const answer of answers) {
        if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'conflict' });
      }
    });

    test('a lost answer costs neither pool nor address', async () => {
      const [host] = hosts;
      if (host === undefined) throw new Error('no host');
      await loseNextAnswer(host);
      const { poolId } = await requestPool(host, { pool: '10.77.0.0/24', options: {}, family: 4 });
      await loseNextAnswer(host);
      expect(await assignAddress(host, poolId)).toBe('10.77.0.1');
      await loseNextAnswer(host);
      await releaseAddress(host, poolId, '10.77.0.1');
      expect(await assignAddress(host, poolId)).toBe('10.77.0.2');
      await loseNextAnswer(host);
      await releasePool(host, poolId);
      expect(await left()).toEqual([]);
    });
  });
}
