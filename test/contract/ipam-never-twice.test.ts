/** Some plays of `npm run soak:ipam` on a real etcd. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { perform } from '../soak/ipam/play.ts';
import { plays } from '../soak/ipam/steps.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { onEtcd } from './etcd-surroundings.ts';

let etcd: EtcdServer;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.remove());

test('on etcd, no address is had twice, and in the end nothing is held for nobody', async () => {
  let operations = 0;
  let made = 0;
  await fc.assert(
    fc.asyncProperty(plays(6), async (play) => {
      made += 1;
      const on = onEtcd(etcd, `/plays-${made}/`);
      try {
        await perform(play, on, () => {
          operations += 1;
        });
      } finally {
        await on.close();
      }
    }),
    // To look for a shorter one, with the times that things take, is not worth the wait.
    { numRuns: 5, endOnFailure: true },
  );
  expect(operations).toBeGreaterThan(200);
});
