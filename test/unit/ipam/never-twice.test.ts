/** A short cut of `npm run soak:ipam`. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { perform } from '../../soak/ipam/play.ts';
import { plays } from '../../soak/ipam/steps.ts';
import { inMemory } from '../../soak/ipam/surroundings.ts';

test('no address is had twice, whatever fails, and in the end nothing is held for nobody', async () => {
  const done = new Map<string, number>();
  const count = (operation: string) => void done.set(operation, (done.get(operation) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(plays(12), (play) => perform(play, inMemory(), count)),
    // One that breaks it is told with its seed, however far it was shortened by then.
    { numRuns: 60, interruptAfterTimeLimit: 45_000 },
  );
  // Or it would show nothing.
  for (const operation of ['RequestAddress', 'CreateEndpoint', 'ReleaseAddress', 'look', 'fault']) {
    expect(done.get(operation), operation).toBeGreaterThan(100);
  }
}, 60_000);
