/** The other hosts, how the kernel would send to each of them now, and what is held of the way there. */
import { randomBytes } from 'node:crypto';
import type { Peer, Underlay } from '../fabric/fabric.ts';
import { probeSource } from '../fabric/reach.ts';
import type { Kernel, MainRoute } from '../kernel/kernel.ts';
import type { Log } from '../log.ts';
import { contains, overlaps, parseAddress, parsePrefix } from '../model/address.ts';
import { holdersOf } from '../model/block-record.ts';
import { tunnelName } from '../model/names.ts';
import type { Host } from '../model/records.ts';
import { systemClock } from '../store/clock.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger } from './ledger.ts';
import { isShared } from './networks.ts';
import { isAssumed, type Passage } from './passage.ts';
import { Prober, type ProbeTarget } from './prober.ts';

/** For people: how packets get to a host where the network leaves it to weft, why, and since when. */
export interface Standing extends Peer {
  readonly name: string;
  readonly direct: Peer['direct'] & Passage;
}

export interface Neighbourhood {
  /** By id. */
  peers(): Promise<ReadonlyMap<string, Peer>>;
  standing(): Promise<Standing[]>;
  /** Takes weft's own routes for what an earlier one found out: a restart sends nothing another way. */
  recall(): Promise<void>;
  /** Finds out, until the signal aborts. */
  probe(signal: AbortSignal): Promise<void>;
  /** There may be hosts about which nothing is known yet: finds that out now. */
  look(): void;
}

export function neighbourhoodOf(of: {
  readonly hostId: string;
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly kernel: Pick<Kernel, 'route' | 'mainRoutes' | 'openUdp'>;
  readonly underlay: () => Underlay;
  readonly probePort: number;
  /** Whether the store is known to lack what other hosts have. */
  readonly keepsAll: () => boolean;
  /** The way to a host is to be another from now on. */
  readonly turned: () => void;
  readonly log: Log;
}): Neighbourhood {
  const { hostId, cluster, ledger, kernel, underlay, probePort, turned, log } = of;
  let targets: readonly ProbeTarget[] = [];
  const prober = new Prober({
    hostId,
    port: probePort,
    ownAddress: () => underlay().address,
    // Whom the store has forgotten is asked as before: what is held of the way there must not be lost.
    targets: async () => {
      if (!of.keepsAll() || targets.length === 0) targets = await probeTargets();
      return targets;
    },
    addressOf: (id) => cluster.host(id)?.address,
    isSource: (address) => probedPools().some(({ source }) => source === address),
    openUdp: (at, receive) => kernel.openUdp(at, receive),
    turned,
    clock: systemClock,
    wallMs: Date.now,
    randomNumber: () => randomBytes(8).toString('hex'),
    log,
  });

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
      .filter((network) => isShared(network) && (network.encap ?? 'auto') === 'auto')
      .flatMap(({ pools }) => pools)
      .filter((pool) => parsePrefix(pool).family === family)
      .toSorted()
      .flatMap((pool) => {
        const source = probeSource(pool);
        return source === undefined ? [] : [{ pool, source }];
      });
  }

  async function standing(): Promise<Standing[]> {
    const { mtu: ownMtu } = underlay();
    // One with this host's address is what this host was before its state folder was lost.
    const isOther = ({ id, address }: Host) => id !== hostId && address !== underlay().address;
    const hosts = cluster.hosts().filter(isOther);
    const paths = await pathsTo(hosts);
    return hosts.map(({ id, name, address, linkLocal, mtu = ownMtu }, index) => {
      const path = paths[index];
      const known = { id, name, address, mtu, ...(linkLocal && { linkLocal }), ...(path && { path }) };
      const passage = prober.passage(id);
      return { ...known, direct: { ...passage, assumed: isAssumed(passage) } };
    });
  }

  /** The hosts with which this one shares a network whose packets may go either way. */
  async function probeTargets(): Promise<ProbeTarget[]> {
    const sources = new Map<string, string>();
    for (const { pool, source } of probedPools().reverse()) {
      for (const host of cluster.claims(pool).flatMap(holdersOf)) sources.set(host, source);
    }
    return (await standing()).flatMap(({ id, name, address, path }): ProbeTarget[] => {
      const source = sources.get(id);
      if (source === undefined) return [];
      const obstacle = obstacleOn(path);
      return [{ id, name, address, probe: obstacle === undefined ? { source } : { impossible: obstacle } }];
    });
  }

  return {
    standing,
    peers: async () => new Map((await standing()).map((peer) => [peer.id, peer])),
    probe: (signal) => prober.run(signal),
    look: () => prober.look(),

    async recall() {
      const pools = probedPools().map(({ pool }) => parsePrefix(pool));
      const isProbed = (destination: string) =>
        pools.some((pool) => overlaps(pool, parsePrefix(destination)));
      const hops = (await kernel.mainRoutes())
        .filter(({ own, link, destination }) => own && link !== tunnelName && isProbed(destination))
        .flatMap(({ via }) => via ?? []);
      const direct = new Set(hops);
      const isDirect = ({ address, linkLocal }: Host) =>
        direct.has(address) || (linkLocal !== undefined && direct.has(linkLocal));
      for (const host of cluster.hosts().filter(isDirect)) prober.recall(host.id);
    },
  };
}

/** What forbids to send as it is, probed or not: for people. */
function obstacleOn(path: Peer['path']): string | undefined {
  if (path === undefined) return 'there is no route to it';
  return path.via === undefined ? undefined : `it is behind the router ${path.via}`;
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
