/** The host's links, addresses and routes are the ground that everything stands on; and others change them. */
import type { HostChange, Kernel } from '../kernel/kernel.ts';

/** What is done by hand, or by a DHCP client, comes as several changes. */
const quietMs = 100;

/**
 * Runs a task soon after such changes, once for all that come together.
 * @param bearsOn whether a change is one to act upon
 * @returns ends it
 */
export function afterUpheavals(
  kernel: Pick<Kernel, 'watch'>,
  bearsOn: (change: HostChange) => boolean,
  task: () => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const unwatch = kernel.watch((change) => {
    if (timer !== undefined || !bearsOn(change)) return;
    timer = setTimeout(() => {
      timer = undefined;
      task();
    }, quietMs);
  });
  return () => {
    unwatch();
    clearTimeout(timer);
  };
}
