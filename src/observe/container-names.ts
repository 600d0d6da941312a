/**
 * What containers are called, as Docker tells: when one starts, joins a network or gets another name, weft asks
 * Docker what its names are, and tells all hosts. They go with the endpoint, so nothing is to be done at its end.
 */
import { coalesce } from '../agent/coalesce.ts';
import type { NameBook } from '../agent/name-book.ts';
import { explain, WeftError } from '../errors.ts';
import type { Log } from '../log.ts';
import { backOff } from '../store/back-off.ts';
import type { Clock } from '../store/clock.ts';
import type { Docker, DockerEvent } from './docker.ts';
import type { DockerListener } from './follow.ts';

export interface ContainerNamingParts {
  readonly docker: Pick<Docker, 'containers' | 'container'>;
  readonly nameBook: Pick<NameBook, 'hasEndpoint' | 'onForgotten' | 'write'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Containers that Docker is asked about at once. */
const atOnce = 4;

export function nameContainers(parts: ContainerNamingParts): DockerListener {
  const { docker, nameBook, clock, random, log, signal } = parts;
  /** Containers to be looked at. */
  const due = new Set<string>();
  const underWay = new Set<string>();
  /** To be looked at again after a pause. */
  const failed = new Set<string>();
  const pause = backOff(500, 60_000, random);
  let unlisted = false;
  let retrying = false;

  async function name(id: string): Promise<void> {
    const found = await docker.container(id).catch((error: unknown) => {
      if (error instanceof WeftError && error.code === 'not-found') return undefined;
      throw error;
    });
    for (const { endpoint, network, names } of found?.endpoints ?? []) {
      if (nameBook.hasEndpoint(endpoint)) await nameBook.write(endpoint, names, network);
    }
  }

  /** Each in a place of its own, so that one for which dockerd takes its time holds up no other. */
  function work(): void {
    for (const id of due) {
      if (signal.aborted || underWay.size >= atOnce) return;
      // What is being told may be old by now: once more, after it.
      if (underWay.has(id)) continue;
      due.delete(id);
      underWay.add(id);
      const end = () => {
        underWay.delete(id);
        work();
      };
      name(id)
        .catch((error: unknown) => {
          failed.add(id);
          fail(error);
        })
        .then(end);
    }
    if (!unlisted && underWay.size + failed.size === 0) pause.reset();
  }

  const list = coalesce(async () => {
    if (signal.aborted) return;
    try {
      for (const id of await docker.containers()) due.add(id);
      unlisted = false;
      work();
    } catch (error) {
      unlisted = true;
      fail(error);
    }
  });

  function fail(error: unknown): void {
    log.debug({ reason: explain(error) }, 'cannot tell the names of containers yet');
    void retry();
  }

  async function retry(): Promise<void> {
    if (retrying) return;
    retrying = true;
    await clock.sleep(pause.next(), signal);
    retrying = false;
    for (const id of failed) due.add(id);
    failed.clear();
    if (unlisted) void list();
    work();
  }

  const lookAtAll = () => void list();

  nameBook.onForgotten(lookAtAll);
  return {
    onConnect: lookAtAll,
    onEvent(event) {
      const id = containerIn(event);
      if (id === undefined) return;
      due.add(id);
      work();
    },
  };
}

/** The one whose names may be others now. */
function containerIn({ type, action, id, container }: DockerEvent): string | undefined {
  if (type === 'network') return action === 'connect' ? container : undefined;
  return action === 'start' || action === 'rename' ? id : undefined;
}
