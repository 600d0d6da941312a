/** Puts together what a fabric looks at: one network, as this host sees it. */
import type { LocalEndpoint, NetworkView, Peer, Underlay } from '../fabric/fabric.ts';
import type { HostTableView } from '../fabric/host-table.ts';
import { type Leg, legAddresses, onLeg } from '../fabric/leg.ts';
import type { Publication } from '../fabric/publication.ts';
import type { TunnelsView } from '../fabric/tunnel-guard.ts';
import { tunnelVni } from '../model/names.ts';
import type { Network } from '../model/records.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork } from './ledger.ts';
import { isShared } from './networks.ts';

export class Views {
  readonly #cluster: Cluster;
  readonly #ledger: Ledger;
  readonly #underlay: () => Underlay;
  readonly #shortcut: () => boolean;

  /** @param shortcut whether this host's user and kernel let packets take one */
  constructor(cluster: Cluster, ledger: Ledger, underlay: () => Underlay, shortcut: () => boolean) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#underlay = underlay;
    this.#shortcut = shortcut;
  }

  underlay(): Underlay {
    return this.#underlay();
  }

  /** @param isAttached whether the endpoint has its link, or is getting it */
  network(
    network: Network,
    peers: ReadonlyMap<string, Peer>,
    isAttached: (endpoint: LedgerEndpoint) => boolean,
  ): NetworkView {
    const underlay = this.#underlay();
    const dockerNetworks = this.dockerNetworks(network.key);
    return {
      network,
      underlay,
      peers,
      claims: network.pools.flatMap((pool) => this.#cluster.claims(pool)),
      beyond: [],
      shortcut: this.#shortcut(),
      ...this.#legOf(network.key),
      remote:
        isShared(network) || !this.isInhabited(network.key)
          ? []
          : this.#cluster.endpoints(network.key).filter(({ host }) => host !== underlay.hostId),
      local: this.#ledger.endpoints
        .all()
        .filter(
          (endpoint) => dockerNetworks.some(({ id }) => id === endpoint.network) && isAttached(endpoint),
        )
        .map((endpoint) => localEndpoint(endpoint, network.key, underlay.hostId)),
    };
  }

  /** Each network of this host once, however many Docker networks it is here. */
  networks(): Network[] {
    const all = this.#ledger.networks.all();
    return [...new Map(all.map((network) => [network.key, networkOf(network)])).values()];
  }

  /** @param outside with the addresses of the other hosts */
  hostTable({
    hosts,
    ...outside
  }: Pick<HostTableView, 'uplinks' | 'tunnelInUse'> & Pick<TunnelsView, 'hosts'>): HostTableView {
    const here = this.networks().filter(isShared);
    const vnis = this.networks().flatMap(({ vni }) => vni ?? []);
    const segments = this.legs().flatMap(({ leg }) => legAddresses(leg));
    const egress = here.filter(({ gateway }) => gateway === true).flatMap(({ pools }) => pools);
    return {
      underlay: this.#underlay(),
      networks: this.#shared(),
      segments,
      ...outside,
      endpoints: here.flatMap(({ key }) => this.attached(key)),
      tunnels: { hosts, vnis: [tunnelVni, ...vnis].toSorted() },
      ways: {
        sources: [...egress, ...segments],
        publications: this.#ledger.endpoints.all().flatMap((endpoint) => this.publishedByHost(endpoint)),
      },
    };
  }

  /** Where the host itself sends what comes to the endpoint's ports. */
  publishedByHost({ network, published = [] }: LedgerEndpoint): Publication[] {
    const key = this.#ledger.networks.get(network)?.key;
    const leg = key === undefined ? undefined : this.#legOf(key).leg;
    return leg === undefined ? published : published.map((one) => onLeg(leg, one));
  }

  /** The segments of this host that have a leg. */
  legs(): { readonly network: Network; readonly leg: Leg }[] {
    return this.networks().flatMap((network) => {
      const { leg } = this.#legOf(network.key);
      return leg === undefined ? [] : [{ network, leg }];
    });
  }

  #legOf(key: string): { readonly leg?: Leg } {
    const known = this.dockerNetworks(key).find(({ leg }) => leg !== undefined);
    if (known?.leg === undefined) return {};
    return { leg: { number: known.leg, gateways: known.gateways ?? [] } };
  }

  /** The networks of the cluster whose subnets the hosts route. */
  #shared(): Network[] {
    const all = [...this.#cluster.networks(), ...this.networks()].filter(isShared);
    return [...new Map(all.map((network) => [network.key, network])).values()];
  }

  /**
   * Subnets of other networks that a container may reach when it gets this one; what comes later it hears of at its
   * next start, because Docker takes routes only then. The first such network of a container leads to all of them.
   */
  beyond({ key, isolate }: Network, sandbox: string): string[] {
    if (isolate !== false) return [];
    const joined = this.networks().filter((network) =>
      this.attached(network.key).some((endpoint) => endpoint.sandbox === sandbox),
    );
    if (joined.some((network) => network.key !== key && network.isolate === false)) return [];
    const others = this.#shared().filter((network) => network.key !== key);
    return others.flatMap((network) => (network.isolate === false ? network.pools : []));
  }

  /** Whether this host has an endpoint of the network, joined or about to be. */
  isInhabited(key: string): boolean {
    return this.dockerNetworks(key).some(({ id }) =>
      this.#ledger.endpoints.all().some(({ network }) => network === id),
    );
  }

  /** Endpoints of the network that are in a container of this host. */
  attached(key: string): LedgerEndpoint[] {
    const docker = this.dockerNetworks(key);
    return this.#ledger.endpoints
      .all()
      .filter(({ network, sandbox }) => sandbox !== undefined && docker.some(({ id }) => id === network));
  }

  /** The Docker networks of this host that are this network; several when the user named it so. */
  dockerNetworks(key: string): LedgerNetwork[] {
    return this.#ledger.networks.all().filter((network) => network.key === key);
  }
}

/** The ledger's own copy: networks stay known while the store is away. */
export function networkOf(network: LedgerNetwork): Network {
  const { key, fabric, vni, mtu, encap, internal, isolate, gateway, broadcast, pools, own } = network;
  return {
    v: 1,
    key,
    fabric,
    internal,
    pools,
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(isolate === undefined ? {} : { isolate }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(broadcast === undefined ? {} : { broadcast }),
    ...(own === undefined ? {} : { own }),
    ...(encap === undefined ? {} : { encap }),
  };
}

export function localEndpoint(endpoint: LedgerEndpoint, network: string, host: string): LocalEndpoint {
  const { id, mac, addresses, slot, mtu } = endpoint;
  return { v: 1, id, network, host, mac, addresses, slot, ...(mtu === undefined ? {} : { mtu }) };
}
