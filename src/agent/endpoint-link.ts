import type { Kernel } from '../kernel/kernel.ts';
import { containerEnd, hostEnd } from '../model/names.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork } from './ledger.ts';
import { scopeOf } from './networks.ts';

/**
 * Whether the kernel has the endpoint's link. It is made by Join, and goes with the container's namespace, if not by
 * DeleteEndpoint.
 * @throws WeftError `kernel`
 */
export async function isLinked(
  kernel: Pick<Kernel, 'host' | 'namespace' | 'namespaces'>,
  network: LedgerNetwork,
  endpointId: string,
): Promise<boolean> {
  const scope = scopeOf(network);
  if (scope === 'host') return kernel.host.hasLink(hostEnd(endpointId));
  if (!(await kernel.namespaces()).includes(scope)) return false;
  return (await kernel.namespace(scope)).hasLink(hostEnd(endpointId));
}

/**
 * Joined endpoints whose link no container has had: Docker takes its end out of the host's namespace some time after
 * Join, when the container's namespace is there.
 * @throws WeftError `kernel`
 */
export async function untakenIn(
  ledger: Pick<Ledger, 'endpoints'>,
  kernel: Pick<Kernel, 'containerEnds'>,
): Promise<LedgerEndpoint[]> {
  const ends = new Set(await kernel.containerEnds());
  if (ends.size === 0) return [];
  return ledger.endpoints
    .all()
    .filter(({ id, sandbox }) => sandbox !== undefined && ends.has(containerEnd(id)));
}
