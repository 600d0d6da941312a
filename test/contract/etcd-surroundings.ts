/** A play's surroundings on a real etcd: each host's line to it goes through a proxy that can be cut. */
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { type Clock, systemClock } from '../../src/store/clock.ts';
import { openEtcdStore } from '../../src/store/etcd.ts';
import { mirroring } from '../../src/store/mirror.ts';
import type { Store } from '../../src/store/store.ts';
import { FakeLine } from '../fakes/line.ts';
import { startLink } from '../fakes/link.ts';
import type { Line, Surroundings } from '../soak/ipam/surroundings.ts';
import type { EtcdServer } from './etcd-server.ts';

/** Patience of weft's is shortened by this, so that a play does not consist of waiting. */
const haste = 10;
const callTimeoutMs = 200;

const hastyClock: Clock = {
  now: () => systemClock.now() * haste,
  sleep: (durationMs, signal) => systemClock.sleep(durationMs / haste, signal),
};

export function onEtcd(etcd: EtcdServer, root: string): Surroundings {
  const store = openEtcdStore({ endpoints: [etcd.endpoint] });
  const admin = new Etcd3({ hosts: etcd.endpoint });
  const closings: (() => Promise<void>)[] = [];

  async function line(): Promise<Line> {
    const link = await startLink(etcd.port);
    const proxied = openEtcdStore({ endpoints: [`http://127.0.0.1:${link.port}`], callTimeoutMs });
    closings.push(async () => void (await Promise.all([proxied.close(), link.close()])));
    let answersToLose = 0;
    const losing: Store = {
      ...mirroring(proxied, () => []),
      async transact(transaction) {
        if (answersToLose > 0) link.swallowAnswers();
        const outcome = await proxied.transact(transaction);
        if (outcome.outcome === 'unknown' && answersToLose > 0) {
          answersToLose -= 1;
          if (answersToLose === 0) await link.mend();
        }
        return outcome;
      },
    };
    // For what is between weft and its socket.
    const fake = new FakeLine(losing);
    return {
      store: fake,
      cut: () => link.cut(),
      stall: async () => link.stall(),
      delayNews: async () => fake.delayNews(),
      loseRequests: async (count) => fake.loseRequests(count),
      loseAnswers: async (count) => {
        answersToLose = count;
      },
      async mend() {
        answersToLose = 0;
        fake.mend(false);
        await link.mend();
      },
    };
  }

  return {
    ...{ store, root, line },
    clock: () => hastyClock,
    pause: (steps) => delay(steps),
    async compact() {
      const { revision } = await store.list(root);
      // There may be no history to forget.
      await admin.kv.compact({ revision: String(revision) }).catch(() => undefined);
    },
    async close() {
      for (const close of closings) await close();
      await store.close();
      admin.close();
    },
  };
}
