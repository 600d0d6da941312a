/** What a pass of the reconciler does, scope by scope. */

import { merge, type NetworkView } from '../fabric/fabric.ts';
import { isolationTable } from '../fabric/isolation.ts';
import { fabrics } from '../fabric/registry.ts';
import { diff } from '../kernel/diff.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { NamespaceState } from '../kernel/state.ts';
import { hostEnd } from '../model/names.ts';
import type { Network } from '../model/records.ts';
import type { Ledger } from './ledger.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';
import { networkOf, type Views } from './views.ts';

export interface Passes {
  pass(scope: Scope): Promise<number>;
  scopes(): Promise<readonly Scope[]>;
}

export function passesOver(
  kernel: Kernel,
  ledger: Ledger,
  views: Views,
  findPeers: Neighbourhood['peers'],
): Passes {
  /** Each network once, however many Docker networks it is here. */
  function networks(): Network[] {
    return [...new Map(ledger.networks.all().map((network) => [network.key, networkOf(network)])).values()];
  }

  /** An endpoint whose link is gone cannot be put right from here: the other end is in the container. */
  async function desiredIn(scope: Scope, actual: NamespaceState): Promise<NamespaceState> {
    const links = new Set(actual.links.map(({ name }) => name));
    const peers = await findPeers();
    const viewOf = (network: Network): NetworkView =>
      views.network(network, peers, ({ id }) => links.has(hostEnd(id)));
    const isHere = (network: Network) => scopeOf(network) === scope;
    const seen = networks().filter((network) => scope === 'host' || isHere(network));
    const parts = Array.from(fabrics.values()).flatMap((fabric) => {
      const ofFabric = seen.filter((network) => network.fabric === fabric.name).map(viewOf);
      const own = ofFabric.filter(({ network }) => isHere(network)).map((view) => fabric.desired(view));
      return scope === 'host' ? [...own, fabric.shared(ofFabric)] : own;
    });
    return merge(parts);
  }

  async function bringInLine(scope: Scope): Promise<number> {
    const namespace = scope === 'host' ? kernel.host : await kernel.namespace(scope);
    const actual = await namespace.read();
    const changes = diff(actual, await desiredIn(scope, actual));
    if (changes.length > 0) await namespace.apply(changes);
    return changes.length;
  }

  /** Networks that share the host's routing need the host to route, to let them through, and to keep them apart. */
  async function filter(): Promise<number> {
    const sharing = networks().filter(({ vni }) => vni === undefined);
    if (sharing.length === 0) {
      await kernel.removeForwardAccept();
      await kernel.deleteNftTable();
      return 0;
    }
    const results = [
      kernel.enableForwarding([4]),
      await kernel.ensureForwardAccept(),
      await kernel.writeNftTable(isolationTable(sharing)),
    ];
    return results.filter(({ changed }) => changed).length;
  }

  return {
    async pass(scope) {
      if (scope === filterScope) return await filter();
      const isWanted = networks().some((network) => scopeOf(network) === scope);
      if (scope === 'host' || isWanted) return await bringInLine(scope);
      await kernel.removeNamespace(scope);
      return 1;
    },

    async scopes() {
      const wanted = networks().map(scopeOf);
      return [...new Set(['host', filterScope, ...wanted, ...(await kernel.namespaces())])];
    },
  };
}
