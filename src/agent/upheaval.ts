/** The host's links, addresses and routes are the ground that everything stands on; and others change them. */
import type { HostChange, Kernel } from '../kernel/kernel.ts';
import { filterScope, type Scope } from './reconciler.ts';

/** What is done by hand, or by a DHCP client, comes as several changes. */
const quietMs = 100;

/**
 * Calls back soon after such changes, once for all that come together.
 * @param unsettled the way to the other hosts may have become another; of links, only an uplink bears on it
 * @param robbed something of weft's may be missing there
 * @returns ends it
 */
export function watchGround(
  kernel: Pick<Kernel, 'watch'>,
  isUplink: (link: string) => boolean,
  { unsettled, robbed }: { readonly unsettled: () => void; readonly robbed: (scope: Scope) => void },
): () => void {
  const timers = new Map<Scope | undefined, NodeJS.Timeout>();
  function soon(scope: Scope | undefined, act: () => void): void {
    if (timers.has(scope)) return;
    const begin = () => {
      timers.delete(scope);
      act();
    };
    timers.set(scope, setTimeout(begin, quietMs));
  }
  const unwatch = kernel.watch((change) => {
    if (change.kind === 'link' ? isUplink(change.name) : ofOthers.includes(change.kind)) {
      soon(undefined, unsettled);
    }
    for (const scope of robbedScopes(change)) soon(scope, () => robbed(scope));
  });
  return () => {
    unwatch();
    for (const timer of timers.values()) clearTimeout(timer);
  };
}

const ofOthers: readonly HostChange['kind'][] = ['address', 'route', 'unknown'];

function robbedScopes(change: HostChange): readonly Scope[] {
  switch (change.kind) {
    case 'own route':
      return ['host'];
    case 'own filter':
      return [filterScope];
    case 'own segment':
      return [change.namespace];
    case 'unknown':
      return ['host', filterScope];
    case 'link':
    case 'address':
    case 'route':
      return [];
  }
}
