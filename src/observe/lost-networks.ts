/**
 * Networks that weft serves, and Docker does not have. A daemon that dies between weft's answer to CreateNetwork and its
 * own note of the network has never made it, for all it knows, and never removes it; nor does one that dies when it has
 * struck the network off, and not told weft yet.
 */
import type { LedgerNetwork } from '../agent/ledger.ts';
import type { Docker } from './docker.ts';

/** @throws WeftError when Docker does not answer */
export async function lostNetworks(
  docker: Pick<Docker, 'networks' | 'hasNetwork'>,
  networks: readonly LedgerNetwork[],
): Promise<LedgerNetwork[]> {
  const listed = new Set((await docker.networks()).map(({ id }) => id));
  const lost: LedgerNetwork[] = [];
  for (const network of networks) {
    if (!listed.has(network.id) && !(await docker.hasNetwork(network.id))) lost.push(network);
  }
  return lost;
}
