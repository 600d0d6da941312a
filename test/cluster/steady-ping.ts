/** Pings without a break, beside what else a test does: not a single one may be lost. */
import type { Host } from '../lab/host.ts';

export interface SteadyPing {
  /** Ends it. `lost`: those without an answer, but for the last two, which may have been on their way. */
  end(): Promise<{ readonly sent: number; readonly lost: readonly number[] }>;
}

/** From a container that pings nothing else meanwhile. */
export function pingSteadily(
  host: Host,
  container: string,
  address: string,
  intervalSeconds: number,
): SteadyPing {
  const ping = ['exec', container, 'ping', '-i', String(intervalSeconds), address];
  const output = host.docker(ping, { timeoutMs: 240_000 });
  // A failure is heard of at the end.
  output.catch(() => undefined);
  return {
    async end() {
      await host.docker(['exec', container, 'killall', '-INT', 'ping']);
      const text = await output;
      const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1]);
      const answered = new Set(Array.from(text.matchAll(/ seq=(\d+) /g), ([, index]) => Number(index)));
      const lost = Array.from({ length: sent - 2 }, (_, index) => index).filter(
        (index) => !answered.has(index),
      );
      return { sent, lost };
    },
  };
}
