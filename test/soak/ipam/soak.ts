/**
 * `npm run soak:ipam`: random operations of hosts that share a subnet, on a store in memory, with everything that can
 * go wrong between them. Ends with what was done, or with the shortest play that breaks a promise.
 */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { perform } from './play.ts';
import { type Play, plays } from './steps.ts';
import { inMemory } from './surroundings.ts';

const usage = `npm run soak:ipam -- [--operations N] [--seed N] [--rounds N]

  --operations   default 1,000,000: calls of Docker's, looks for leftovers, faults
  --seed         of the first plays; each further batch has the next one
  --rounds       of a play, at most; default 40`;

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    rounds: { type: 'string', default: '40' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}
const [wanted, firstSeed, rounds] = [values.operations, values.seed, values.rounds].map(Number);
if (wanted === undefined || firstSeed === undefined || rounds === undefined) throw new Error(usage);

/** Plays of one seed. */
const batch = 50;
const reportMs = 10_000;

// Refusals are thrown by the million, and nobody reads where from.
Error.stackTraceLimit = 0;

/** A promise that nobody waits for has failed: in the process that is weft, a defect. */
process.on('unhandledRejection', (reason) => {
  console.error('unhandled:', reason);
  process.exit(1);
});

const done = new Map<string, number>();
let operations = 0;
function count(operation: string): void {
  done.set(operation, (done.get(operation) ?? 0) + 1);
  operations += 1;
}
const secondsPassed = () => Math.round(performance.now() / 1000);

const property = fc.asyncProperty(plays(rounds), (play) => perform(play, inMemory(), count));
console.log(`seed ${firstSeed}`);
let seed = firstSeed;
for (let reportedMs = 0; operations < wanted; seed += 1) {
  const result = await fc.check(property, { seed, numRuns: batch });
  if (result.failed) {
    console.error(story(result.counterexample?.[0]));
    console.error(result.errorInstance);
    console.error(
      `violated; the shortest play that does so is above (${result.numShrinks} times shortened); again: npm run soak:ipam -- --seed ${seed} --rounds ${rounds}`,
    );
    process.exit(1);
  }
  if (performance.now() - reportedMs < reportMs) continue;
  reportedMs = performance.now();
  console.log(`${operations} operations, ${secondsPassed()} s, seed ${seed}`);
}

for (const [operation, times] of [...done].sort()) console.log(`${String(times).padStart(9)}  ${operation}`);
console.log(
  `${operations} operations in ${(seed - firstSeed) * batch} plays, seeds ${firstSeed} to ${seed - 1}, ${secondsPassed()} s: none violated`,
);

function story(play: Play | undefined): string {
  if (play === undefined) return 'no play';
  const { rounds, ...setting } = play;
  return [JSON.stringify(setting), ...rounds.map((round) => JSON.stringify(round))].join('\n');
}
