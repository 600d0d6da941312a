/** A short cut of `npm run fuzz`. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sessions } from '../../fuzz/requests.ts';
import { openTarget } from '../../fuzz/session.ts';

/** A thousand calls and more, on a disk and a clock that are the machine's. */
const timeoutMs = 60_000;

test('whatever comes down the socket is answered, and what is refused leaves nothing', {
  timeout: timeoutMs,
}, async () => {
  const target = await openTarget();
  let sent = 0;
  try {
    await fc.assert(
      fc.asyncProperty(sessions, async (session) => {
        for (const request of session) {
          await target.send(request);
          sent += 1;
        }
        await target.clear();
      }),
      { numRuns: 40 },
    );
  } finally {
    await target.close();
  }
  expect(sent).toBeGreaterThan(500);
});
