/**
 * Networks that weft serves, and Docker does not have. A daemon that dies between weft's answer to CreateNetwork and its
 * own note of the network has never made it, for all it knows, and never removes it; nor does one that dies when it has
 * struck the network off, and not told weft yet.
 */
import type { LedgerNetwork } from '../agent/ledger.ts';
import type { Docker } from './docker.ts';
import type { DockerNetwork } from './docker-network.ts';

/**
 * @param listed by Docker, which lists no swarm's
 * @throws WeftError when Docker does not answer
 */
export async function lostNetworks(
  docker: Pick<Docker, 'hasNetwork'>,
  listed: readonly DockerNetwork[],
  networks: readonly LedgerNetwork[],
): Promise<LedgerNetwork[]> {
  const known = new Set(listed.map(({ id }) => id));
  const lost: LedgerNetwork[] = [];
  for (const network of networks) {
    if (!known.has(network.id) && !(await docker.hasNetwork(network.id))) lost.push(network);
  }
  return lost;
}
