import type { Kernel } from '../kernel/kernel.ts';
import { hostEnd } from '../model/names.ts';
import type { LedgerNetwork } from './ledger.ts';
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
