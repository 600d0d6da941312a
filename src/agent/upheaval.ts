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

/**
 * @param unsettled when the way to the other hosts may have become another; of links, only an uplink bears on it
 * @param robbed when a route of weft's own to another host has gone
 * @returns ends it
 */
export function watchGround(
  kernel: Pick<Kernel, 'watch'>,
  isUplink: (link: string) => boolean,
  { unsettled, robbed }: { readonly unsettled: () => void; readonly robbed: () => void },
): () => void {
  const isOwnRoute = ({ kind }: HostChange) => kind === 'own route';
  const bearsOnUplink = (change: HostChange) =>
    change.kind === 'link' ? isUplink(change.name) : !isOwnRoute(change);
  const ends = [afterUpheavals(kernel, bearsOnUplink, unsettled), afterUpheavals(kernel, isOwnRoute, robbed)];
  return () => {
    for (const end of ends) end();
  };
}
