/**
 * Answers every container of this host that is on a network of weft's, in the place of Docker's resolver. What
 * should be answered is in the ledger; a look brings what is in line with it.
 */
import { coalesce } from '../agent/coalesce.ts';
import type { NameBook } from '../agent/name-book.ts';
import { explain } from '../errors.ts';
import { type ResolverPlace, TableOwnershipMissing } from '../kernel/docker-resolver.ts';
import type { Log } from '../log.ts';
import { answerTo } from './answer.ts';
import { serveNames } from './resolver.ts';
import { type Zone, zoneOf } from './zone.ts';

export interface ContainerNamesParts {
  readonly nameBook: Pick<NameBook, 'members' | 'onChange' | 'onEnd' | 'sandboxes'>;
  /** Undefined while the sandbox has no namespace. @throws WeftError `kernel`; TableOwnershipMissing */
  readonly takePlace: (sandbox: string) => Promise<ResolverPlace | undefined>;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface ContainerNames {
  /** To be called when a container has joined a network, or left it. */
  look(): void;
}

/**
 * Docker makes the namespace after weft has answered its Join, and says nothing when it has; the container's
 * program starts some 10 ms later.
 */
const soonMs = 5;
/** After that, and for containers whose end nobody told of. */
const laterMs = 5_000;
/** A namespace that has not come by then is in no hurry. */
const hurryMs = 30_000;

export function answerContainers(parts: ContainerNamesParts): ContainerNames {
  const { nameBook, takePlace, random, log, signal } = parts;
  const zones = new Map<string, Zone>();
  const places = new Map<string, ResolverPlace>();
  /** Sandboxes that have no namespace yet, and the looks at which it is in a hurry. */
  const awaited = new Map<string, number>();
  /** Not to be tried again before the next of the later looks. */
  const failed = new Set<string>();
  /** Of these the log has said that they fail. */
  const reported = new Set<string>();
  let isPossible = true;
  let wanted: ReadonlyMap<string, readonly string[]> = new Map();
  let soon: NodeJS.Timeout | undefined;

  function zone(network: string): Zone {
    const known = zones.get(network) ?? zoneOf(nameBook.members(network));
    zones.set(network, known);
    return known;
  }

  const pass = coalesce(async () => {
    if (signal.aborted || !isPossible) return;
    wanted = nameBook.sandboxes();
    for (const sandbox of places.keys()) if (!wanted.has(sandbox)) leave(sandbox);
    for (const known of [awaited, failed, reported]) {
      for (const sandbox of known.keys()) if (!wanted.has(sandbox)) known.delete(sandbox);
    }
    for (const sandbox of wanted.keys()) {
      if (isPossible && !places.has(sandbox) && !failed.has(sandbox)) await serve(sandbox);
    }
    clearTimeout(soon);
    const isUrgent = [...awaited.values()].some((looks) => looks > 0);
    if (isUrgent && !signal.aborted) soon = setTimeout(look, soonMs);
  });

  async function serve(sandbox: string): Promise<void> {
    try {
      const place = await takePlace(sandbox);
      if (place === undefined) {
        awaited.set(sandbox, (awaited.get(sandbox) ?? hurryMs / soonMs) - 1);
        return;
      }
      awaited.delete(sandbox);
      reported.delete(sandbox);
      if (signal.aborted) return place.close();
      places.set(sandbox, place);
      serveNames(place, (query, over) => {
        const networks = wanted.get(sandbox) ?? [];
        return answerTo(query, networks.map(zone), over, random);
      });
    } catch (error) {
      if (error instanceof TableOwnershipMissing) {
        isPossible = false;
        awaited.clear();
        return log.warn(error.message);
      }
      failed.add(sandbox);
      if (!reported.has(sandbox))
        log.warn({ sandbox, reason: explain(error) }, 'a container is not told names of other hosts yet');
      reported.add(sandbox);
    }
  }

  function leave(sandbox: string): void {
    places.get(sandbox)?.close();
    places.delete(sandbox);
  }

  function look(): void {
    void pass();
  }

  nameBook.onChange((network) => zones.delete(network));
  nameBook.onEnd(leave);
  const timer = setInterval(() => {
    for (const [sandbox, place] of places) if (!place.isCurrent()) leave(sandbox);
    failed.clear();
    look();
  }, laterMs);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    clearTimeout(soon);
    for (const sandbox of places.keys()) leave(sandbox);
  });
  // Their namespaces are there, or will never be: the host or Docker has started anew since.
  for (const sandbox of nameBook.sandboxes().keys()) awaited.set(sandbox, 0);
  look();
  return { look };
}
