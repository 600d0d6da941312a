/** What it costs to be on hosts with many networks and endpoints. */
import { weftDisabled } from '../../fault/faults.ts';
import type { Host } from '../../lab/host.ts';
import { waitFor } from '../../lab/wait.ts';
import { deleteFilterTable, fillFilterSets, hasFilterTable } from './filter-elements.ts';
import { fillShortcut } from './shortcut-entries.ts';

/**
 * Fills up what the kernels of the hosts ask for every packet. weft is away meanwhile, which packets do not notice: it would
 * take away what it has not put there. So it does when it comes back.
 */
export async function whileCrowded<T>(
  hosts: readonly Host[],
  count: number,
  run: () => Promise<T>,
): Promise<T> {
  const back = await Promise.all(hosts.map((host) => weftDisabled(host).strike()));
  try {
    const fill = (host: Host) => [fillFilterSets(host, count), fillShortcut(host, count)];
    await Promise.all(hosts.flatMap(fill));
    return await run();
  } finally {
    await Promise.all(hosts.map(deleteFilterTable));
    await Promise.all(back.map((enable) => enable()));
    await Promise.all(hosts.map((host) => waitFor(`${host.name} filters again`, () => hasFilterTable(host))));
  }
}
