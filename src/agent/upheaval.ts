/** The host's links, addresses and routes are the ground that everything stands on; and others change them. */
import type { HostChange, Kernel } from '../kernel/kernel.ts';
import { filterScope, type Scope } from './reconciler.ts';

/** What is done by hand, or by a DHCP client, comes as several changes. */
const quietMs = 100;

export interface Task {
  /** Whether a change is one to act upon. */
  readonly bearsOn: (change: HostChange) => boolean;
  readonly run: () => void;
}

/**
 * Runs each task soon after such changes, once for all that come together.
 * @returns ends it
 */
export function afterUpheavals(kernel: Pick<Kernel, 'watch'>, tasks: readonly Task[]): () => void {
  const timers = new Map<Task, NodeJS.Timeout>();
  const unwatch = kernel.watch((change) => {
    for (const task of tasks) {
      if (timers.has(task) || !task.bearsOn(change)) continue;
      const begin = () => {
        timers.delete(task);
        task.run();
      };
      timers.set(task, setTimeout(begin, quietMs));
    }
  });
  return () => {
    unwatch();
    for (const timer of timers.values()) clearTimeout(timer);
  };
}

/**
 * @param unsettled the way to the other hosts may have become another; of links, only an uplink bears on it
 * @param robbed something of weft's may be missing there
 * @returns ends it
 */
export function watchGround(
  kernel: Pick<Kernel, 'watch'>,
  isUplink: (link: string) => boolean,
  { unsettled, robbed }: { readonly unsettled: () => void; readonly robbed: (scope: Scope) => void },
): () => void {
  const isOneOf =
    (...kinds: HostChange['kind'][]) =>
    ({ kind }: HostChange) =>
      kinds.includes(kind);
  const isOfOthers = isOneOf('address', 'route', 'unknown');
  return afterUpheavals(kernel, [
    {
      bearsOn: (change) => (change.kind === 'link' ? isUplink(change.name) : isOfOthers(change)),
      run: unsettled,
    },
    { bearsOn: isOneOf('own route', 'unknown'), run: () => robbed('host') },
    { bearsOn: isOneOf('own filter', 'unknown'), run: () => robbed(filterScope) },
  ]);
}
