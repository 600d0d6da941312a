/** What a pass of the reconciler does, scope by scope. */

import { merge, type NetworkView } from '../fabric/fabric.ts';
import { isolationTable } from '../fabric/isolation.ts';
import { fabrics } from '../fabric/registry.ts';
import { diff } from '../kernel/diff.ts';
import type { Kernel, Namespace } from '../kernel/kernel.ts';
import type { NamespaceState } from '../kernel/state.ts';
import { familyOf } from '../model/address.ts';
import { hostEnd } from '../model/names.ts';
import type { Network } from '../model/records.ts';
import type { Ledger, LedgerEndpoint } from './ledger.ts';
import { scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';
import { networkOf, type Views } from './views.ts';

export interface Passes {
  pass(scope: Scope): Promise<number>;
  scopes(): Promise<readonly Scope[]>;
  /** Endpoints whose link was not there at the last pass: not joined yet, or lost by Docker. */
  unlinked(): LedgerEndpoint[];
  /** Strikes it off the ledger, unless it has its link by now. */
  forgetUnlinked(endpoint: LedgerEndpoint): Promise<void>;
}

export function passesOver(kernel: Kernel, ledger: Ledger, views: Views): Passes {
  const unlinked = new Map<Scope, readonly LedgerEndpoint[]>();

  /** Each network once, however many Docker networks it is here. */
  function networks(): Network[] {
    return [...new Map(ledger.networks.all().map((network) => [network.key, networkOf(network)])).values()];
  }

  /** An endpoint whose link is gone cannot be put right from here: the other end is in the container. */
  async function desiredIn(members: readonly Network[], actual: NamespaceState): Promise<NamespaceState> {
    const links = new Set(actual.links.map(({ name }) => name));
    const peers = await views.peers();
    return merge(
      members.map((network) => {
        const view: NetworkView = views.network(network, peers, ({ id }) => links.has(hostEnd(id)));
        return fabrics.get(network.fabric)?.desired(view) ?? merge([]);
      }),
    );
  }

  function scopeOfEndpoint({ network: id }: LedgerEndpoint): Scope | undefined {
    const network = ledger.networks.get(id);
    return network && scopeOf(network);
  }

  async function open(scope: Scope): Promise<Namespace> {
    return scope === 'host' ? kernel.host : await kernel.namespace(scope);
  }

  async function bringInLine(scope: Scope, members: readonly Network[]): Promise<number> {
    const namespace = await open(scope);
    const actual = await namespace.read();
    const endpoints = ledger.endpoints.all().filter((endpoint) => scopeOfEndpoint(endpoint) === scope);
    unlinked.set(
      scope,
      endpoints.filter((endpoint) => !hasLink(actual, endpoint)),
    );
    const changes = diff(actual, await desiredIn(members, actual));
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
      kernel.enableForwarding([...new Set(sharing.flatMap(({ pools }) => pools.map(familyOf)))]),
      await kernel.ensureForwardAccept(),
      await kernel.writeNftTable(isolationTable(sharing)),
    ];
    return results.filter(({ changed }) => changed).length;
  }

  return {
    async pass(scope) {
      if (scope === filterScope) return await filter();
      const members = networks().filter((network) => scopeOf(network) === scope);
      if (scope === 'host' || members.length > 0) return await bringInLine(scope, members);
      await kernel.removeNamespace(scope);
      unlinked.delete(scope);
      return 1;
    },

    unlinked() {
      // One that has been joined, left or deleted since is another object, or none.
      return [...unlinked.values()].flat().filter((seen) => ledger.endpoints.get(seen.id) === seen);
    },

    async forgetUnlinked(endpoint) {
      const scope = scopeOfEndpoint(endpoint);
      if (scope === undefined) return;
      const actual = await (await open(scope)).read();
      const isSame = ledger.endpoints.get(endpoint.id) === endpoint;
      if (isSame && !hasLink(actual, endpoint)) await ledger.endpoints.delete(endpoint.id);
    },

    async scopes() {
      const wanted = networks().map(scopeOf);
      return [...new Set(['host', filterScope, ...wanted, ...(await kernel.namespaces())])];
    },
  };
}

function hasLink({ links }: NamespaceState, { id }: LedgerEndpoint): boolean {
  return links.some(({ name }) => name === hostEnd(id));
}
