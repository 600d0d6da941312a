/** The process of one host: address management as the agent has it, on the etcd that it is given. */
import { randomUUID } from 'node:crypto';
import { explain } from '../../../src/errors.ts';
import { assignAddress, releaseAddress } from '../../../src/ipam/addresses.ts';
import type { Ipam } from '../../../src/ipam/ipam.ts';
import { requestPool } from '../../../src/ipam/pools.ts';
import { sharedStore } from '../../../src/ipam/shared-store.ts';
import { Vacancies } from '../../../src/ipam/vacancies.ts';
import { parsePrefix } from '../../../src/model/address.ts';
import { keyedQueue } from '../../../src/model/queue.ts';
import { systemClock } from '../../../src/store/clock.ts';
import { openEtcdStore } from '../../../src/store/etcd.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import { withTransact } from '../../../src/store/store.ts';
import { diskInMemory } from '../../fakes/ipam-host.ts';
import type { Answer, Figures, Order } from './orders.ts';

interface Member {
  readonly ipam: Ipam;
  readonly poolId: string;
  /** Addresses that it has been given. */
  readonly held: string[];
  heard(revision: bigint): Promise<void>;
  leave(): void;
}

const [hostId = '', endpoint = ''] = process.argv.slice(2);
const etcd = openEtcdStore({ endpoints: [endpoint] });
let transactions = 0;
const store = withTransact(etcd, (transaction) => {
  transactions += 1;
  return etcd.transact(transaction);
});
let member: Member | undefined;

async function join(root: string, subnet: string): Promise<Member> {
  const keys = keysBelow(root);
  const leaving = new AbortController();
  let wake: () => void = () => {};
  const mirror = new Mirror(root, (changed) => shared.spares.hear(mirror, changed), keys.unwatched);
  const shared = sharedStore({
    ...{ store, mirror, keys, hostId, shelf: diskInMemory() },
    now: Date.now,
    failed: () => {},
  });
  void (async () => {
    for await (const notice of store.watch(root, leaving.signal, keys.unwatched)) {
      mirror.apply(notice);
      wake();
    }
  })();
  async function heard(revision: bigint): Promise<void> {
    while (!mirror.complete || mirror.revision < revision) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const ipam: Ipam = {
    ...shared,
    ...{ vacancies: new Vacancies(), queue: keyedQueue() },
    hostName: (id) => id,
    network: () => undefined,
    inUse: () => false,
    routes: async () => [],
    routesElsewhere: () => [],
    automatic: { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } },
    excluded: [],
    blockSize: 64,
    // What one round has given back is the next one's.
    restMs: 0,
    now: Date.now,
    clock: systemClock,
    random: Math.random,
    randomId: () => randomUUID().slice(-12),
  };
  await heard(0n);
  const { poolId } = await requestPool(ipam, { pool: subnet, options: {}, family: 4 });
  return { ipam, poolId, held: [], heard, leave: () => leaving.abort() };
}

async function timed(count: number, one: () => Promise<void>): Promise<Figures> {
  const latenciesMs: number[] = [];
  const before = transactions;
  const startedMs = performance.timeOrigin + performance.now();
  for (let done = 0; done < count; done += 1) {
    const beganMs = performance.now();
    await one();
    latenciesMs.push(performance.now() - beganMs);
  }
  const endedMs = performance.timeOrigin + performance.now();
  return { startedMs, endedMs, latenciesMs, transactions: transactions - before };
}

async function obey(order: Order): Promise<Figures> {
  if (order.do === 'open') {
    member?.leave();
    member = await join(order.root, order.subnet);
    return timed(0, async () => {});
  }
  if (member === undefined) throw new Error('it has not been told where');
  const { ipam, poolId, held } = member;
  switch (order.do) {
    case 'hear':
      await member.heard(BigInt(order.revision));
      return timed(0, async () => {});
    case 'allocate':
      return timed(order.count, async () => void held.push(await assignAddress(ipam, poolId)));
    case 'release':
      return timed(held.length, () => releaseAddress(ipam, poolId, held.pop() ?? ''));
    case 'put': {
      const { key, count } = order;
      const value = 'x'.repeat(order.bytes);
      let revision = (await store.get(key))?.revision ?? 0n;
      return timed(count, async () => {
        const outcome = await store.transact({
          conditions: [{ key, revision }],
          writes: [{ put: key, value }],
        });
        if (outcome.outcome !== 'committed') throw new Error(`${key}: ${outcome.outcome}`);
        revision = outcome.revision;
      });
    }
  }
}

process.on('message', async (order: Order) => {
  const answer: Answer = await obey(order).then(
    (figures) => ({ figures }),
    (error: unknown) => ({ failed: explain(error) }),
  );
  process.send?.(answer);
});
process.on('disconnect', () => process.exit());
