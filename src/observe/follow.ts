/** Stays connected to Docker's events, over every restart of its daemon, for as long as weft runs. */
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import { backOff } from '../store/back-off.ts';
import type { Clock } from '../store/clock.ts';
import type { Docker, DockerEvent } from './docker.ts';

export interface DockerListener {
  /** Docker answers, for the first time or again: whatever happened before has to be looked up. */
  readonly onConnect: () => void;
  readonly onEvent: (event: DockerEvent) => void;
}

export interface Following {
  readonly docker: Pick<Docker, 'events'>;
  readonly listeners: readonly DockerListener[];
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** dockerd is back from a restart within a second or two. */
const firstPauseMs = 100;
const lastPauseMs = 5_000;

/** Resolves when the signal has aborted; never throws. */
export async function followDocker(following: Following): Promise<void> {
  const { docker, listeners, clock, random, log, signal } = following;
  const pause = backOff(firstPauseMs, lastPauseMs, random);
  let told = false;
  while (!signal.aborted) {
    let reason = 'the connection ended';
    try {
      const events = await docker.events(signal);
      log.info("follows Docker's events");
      told = false;
      pause.reset();
      for (const { onConnect } of listeners) onConnect();
      for await (const event of events) for (const { onEvent } of listeners) onEvent(event);
    } catch (error) {
      reason = explain(error);
    }
    if (signal.aborted) return;
    if (!told)
      log.warn({ reason }, "Docker's API is away; networks and names are not told to other hosts meanwhile");
    told = true;
    await clock.sleep(pause.next(), signal);
  }
}
