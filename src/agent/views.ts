/** Puts together what a fabric looks at: one network, as this host sees it. */
import type { LocalEndpoint, NetworkView, Peer, Underlay } from '../fabric/fabric.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Network } from '../model/records.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork } from './ledger.ts';

export class Views {
  readonly #cluster: Cluster;
  readonly #ledger: Ledger;
  readonly #kernel: Pick<Kernel, 'route'>;
  readonly #underlay: () => Underlay;

  constructor(cluster: Cluster, ledger: Ledger, kernel: Pick<Kernel, 'route'>, underlay: () => Underlay) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#kernel = kernel;
    this.#underlay = underlay;
  }

  /** All other hosts, with the kernel's way to each of them now. */
  async peers(): Promise<ReadonlyMap<string, Peer>> {
    const own = this.#underlay();
    // One with this host's address is what this host was before its state folder was lost.
    const hosts = this.#cluster
      .hosts()
      .filter(({ id, address }) => id !== own.hostId && address !== own.address);
    const paths = await this.#kernel.route(hosts.map(({ address }) => address));
    return new Map(
      hosts.map(({ id, address, linkLocal }, index) => {
        const path = paths[index];
        return [id, { id, address, ...(linkLocal && { linkLocal }), ...(path && { path }) }];
      }),
    );
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
      blocks: network.pools.flatMap((pool) => this.#cluster.blocks(pool)),
      remote: this.#cluster.endpoints(network.key).filter(({ host }) => host !== underlay.hostId),
      local: this.#ledger.endpoints
        .all()
        .filter(
          (endpoint) => dockerNetworks.some(({ id }) => id === endpoint.network) && isAttached(endpoint),
        )
        .map((endpoint) => localEndpoint(endpoint, network.key, underlay.hostId)),
    };
  }

  /** The Docker networks of this host that are this network; several when the user named it so. */
  dockerNetworks(key: string): LedgerNetwork[] {
    return this.#ledger.networks.all().filter((network) => network.key === key);
  }
}

/** The ledger's own copy: networks stay known while the store is away. */
export function networkOf(network: LedgerNetwork): Network {
  const { key, fabric, vni, mtu, internal, pools } = network;
  return {
    v: 1,
    key,
    fabric,
    internal,
    pools,
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

export function localEndpoint(endpoint: LedgerEndpoint, network: string, host: string): LocalEndpoint {
  const { id, mac, addresses, slot } = endpoint;
  return { v: 1, id, network, host, mac, addresses, slot };
}
