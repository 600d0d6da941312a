/**
 * `npm run fuzz [-- CASES [SEED]]`: that many requests against the real server and agent. Ends with what was
 * sent and how it was answered, or with the shortest session that fails.
 */
import fc from 'fast-check';
import { sessions } from './requests.ts';
import { openTarget } from './session.ts';

const [wanted = 1_000_000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number);
const sessionsPerTarget = 500;

/** A promise that nobody waits for has failed: in the process that is weft, a defect. */
process.on('unhandledRejection', (reason) => {
  console.error('unhandled:', reason);
  process.exit(1);
});

const answers = new Map<string, number>();
let sent = 0;
const startedMs = performance.now();
console.log(`seed ${seed}`);

for (let round = 0; sent < wanted; round += 1) {
  const target = await openTarget();
  const session = fc.asyncProperty(sessions, async (session) => {
    for (const request of session) {
      const { status, body } = await target.send(request);
      const kind = `${request.method}: ${status === 200 ? ('Err' in body ? 'refused' : 'done') : status}`;
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      sent += 1;
    }
    await target.clear();
  });
  const result = await fc.check(session, { numRuns: sessionsPerTarget, seed: seed + round });
  if (result.failed) {
    console.error(`seed ${seed + round}: ${JSON.stringify(result.counterexample, undefined, 1)}`);
    console.error(result.errorInstance);
    process.exit(1);
  }
  await target.close();
  console.log(`${sent} requests, ${Math.round((performance.now() - startedMs) / 1000)} s`);
}

for (const [kind, count] of [...answers].sort()) console.log(`${String(count).padStart(8)}  ${kind}`);
console.log(
  `${sent} requests in ${Math.round((performance.now() - startedMs) / 1000)} s, seed ${seed}: none failed`,
);
