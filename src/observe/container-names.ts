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
import { followDocker } from './follow.ts';

export interface ContainerNamingParts {
  readonly docker: Pick<Docker, 'events' | 'containers' | 'container'>;
  readonly nameBook: Pick<NameBook, 'hasEndpoint' | 'onForgotten' | 'write'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Containers that Docker is asked about at once. */
const atOnce = 4;

export function nameContainers(parts: ContainerNamingParts): void {
  const { docker, nameBook, clock, random, log, signal } = parts;
  /** Containers to be looked at. */
  const due = new Set<string>();
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

  const pass = coalesce(async () => {
    if (signal.aborted) return;
    let wentWell = true;
    const fail = (error: unknown) => {
      log.debug({ reason: explain(error) }, 'cannot tell the names of containers yet');
      wentWell = false;
    };
    if (unlisted) {
      unlisted = false;
      const all = await docker.containers().catch((error: unknown) => {
        unlisted = true;
        fail(error);
        return [];
      });
      for (const id of all) due.add(id);
    }
    const queue = [...due].values();
    const work = async () => {
      for (const id of queue) {
        due.delete(id);
        await name(id).catch((error: unknown) => {
          due.add(id);
          fail(error);
        });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    if (wentWell) pause.reset();
    else void retry();
  });

  async function retry(): Promise<void> {
    if (retrying) return;
    retrying = true;
    await clock.sleep(pause.next(), signal);
    retrying = false;
    void pass();
  }

  function lookAtAll(): void {
    unlisted = true;
    void pass();
  }

  nameBook.onForgotten(lookAtAll);
  void followDocker({
    ...{ docker, clock, random, log, signal },
    onConnect: lookAtAll,
    onEvent(event) {
      const id = containerIn(event);
      if (id === undefined) return;
      due.add(id);
      void pass();
    },
  });
}

/** The one whose names may be others now. */
function containerIn({ type, action, id, container }: DockerEvent): string | undefined {
  if (type === 'network') return action === 'connect' ? container : undefined;
  return action === 'start' || action === 'rename' ? id : undefined;
}
