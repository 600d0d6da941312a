/** Puts together what a fabric looks at: one network, as this host sees it. */
import type { LocalEndpoint, NetworkView, Peer, Underlay } from '../fabric/fabric.ts';
import type { Network } from '../model/records.ts';
import type { Cluster } from './cluster.ts';
import type { Ledger, LedgerEndpoint, LedgerNetwork } from './ledger.ts';

export class Views {
  readonly #cluster: Cluster;
  readonly #ledger: Ledger;
  readonly #underlay: () => Underlay;

  constructor(cluster: Cluster, ledger: Ledger, underlay: () => Underlay) {
    this.#cluster = cluster;
    this.#ledger = ledger;
    this.#underlay = underlay;
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
  const { key, fabric, vni, mtu, encap, internal, pools } = network;
  return {
    v: 1,
    key,
    fabric,
    internal,
    pools,
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(encap === undefined ? {} : { encap }),
  };
}

export function localEndpoint(endpoint: LedgerEndpoint, network: string, host: string): LocalEndpoint {
  const { id, mac, addresses, slot, mtu } = endpoint;
  return { v: 1, id, network, host, mac, addresses, slot, ...(mtu === undefined ? {} : { mtu }) };
}
