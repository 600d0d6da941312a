/** The other hosts, how the kernel would send to each of them now, and what is held of the way there. */
import type { Peer, Underlay } from '../fabric/fabric.ts';
import { probeSource } from '../fabric/reach.ts';
import { holdersOf } from '../fabric/routed.ts';
import type { Kernel, MainRoute } from '../kernel/kernel.ts';
import { contains, parseAddress, parsePrefix } from '../model/address.ts';
import type { Host } from '../model/records.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import type { Passage } from './passage.ts';
import type { ProbeTarget } from './prober.ts';

export interface Neighbourhood {
  /** By id. */
  peers(): Promise<ReadonlyMap<string, Peer>>;
  /** The hosts with which this one shares a network whose packets may go either way. */
  probeTargets(): Promise<ProbeTarget[]>;
  /** Whether that is where probes of a network on this host come from. */
  isProbeSource(address: string): boolean;
}

export function neighbourhoodOf(of: {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly kernel: Pick<Kernel, 'route' | 'mainRoutes'>;
  readonly underlay: () => Underlay;
  readonly passage: (hostId: string) => Passage;
}): Neighbourhood {
  const { cluster, ledger, kernel, underlay, passage } = of;

  async function pathsTo(hosts: readonly Host[]): Promise<readonly Peer['path'][]> {
    const paths = await kernel.route(hosts.map(({ address }) => address));
    const { mtu } = underlay();
    // To these there may be a route of weft's own, which must not be what proves them to be on the link.
    const isNarrower = (host: Host) => host.mtu !== undefined && host.mtu < mtu;
    if (!hosts.some(isNarrower)) return paths;
    const foreign = (await kernel.mainRoutes()).filter(({ own }) => !own);
    return hosts.map((host, index) =>
      isNarrower(host) ? longestMatch(foreign, host.address) : paths[index],
    );
  }

  /** Subnets of routed networks that choose by themselves, each with the address that probes for it. */
  function probedPools(): { readonly pool: string; readonly source: string }[] {
    const { family } = parseAddress(underlay().address);
    return ledger.networks
      .all()
      .filter(({ vni, encap = 'auto' }) => vni === undefined && encap === 'auto')
      .flatMap(({ pools }) => pools)
      .filter((pool) => parsePrefix(pool).family === family)
      .toSorted()
      .flatMap((pool) => {
        const source = probeSource(pool);
        return source === undefined ? [] : [{ pool, source }];
      });
  }

  async function peers(): Promise<ReadonlyMap<string, Peer>> {
    const { hostId, mtu: ownMtu } = underlay();
    const hosts = cluster.hosts().filter(({ id }) => id !== hostId);
    const paths = await pathsTo(hosts);
    return new Map(
      hosts.map(({ id, address, mtu = ownMtu }, index) => {
        const path = paths[index];
        const direct = passage(id);
        return [id, { id, address, mtu, direct, ...(path === undefined ? {} : { path }) }];
      }),
    );
  }

  return {
    peers,

    async probeTargets() {
      const sources = new Map<string, string>();
      for (const { pool, source } of probedPools().reverse()) {
        for (const host of cluster.blocks(pool).flatMap(holdersOf)) sources.set(host, source);
      }
      const known = await peers();
      return Array.from(sources).flatMap(([id, source]): ProbeTarget[] => {
        const peer = known.get(id);
        const host = cluster.host(id);
        if (peer === undefined || host === undefined) return [];
        const { path } = peer;
        const obstacle =
          path === undefined
            ? 'there is no route to it'
            : path.via === undefined
              ? undefined
              : `it is behind the router ${path.via}`;
        const probe = obstacle === undefined ? { source } : { impossible: obstacle };
        return [{ id, name: host.name, address: host.address, probe }];
      });
    },

    isProbeSource: (address) => probedPools().some(({ source }) => source === address),
  };
}

/** The route that the kernel would take if there were only these. */
function longestMatch(routes: readonly MainRoute[], address: string): Peer['path'] {
  const target = parseAddress(address);
  let best: { readonly route: MainRoute; readonly length: number } | undefined;
  for (const route of routes) {
    const prefix = parsePrefix(route.destination);
    if (!contains(prefix, target) || (best !== undefined && prefix.length <= best.length)) continue;
    best = { route, length: prefix.length };
  }
  return best?.route;
}
