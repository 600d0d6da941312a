/**
 * Published ports of containers whose way out is weft. Each is held for as long as weft runs, so that nobody else on
 * the host takes it; that it leads to the container is the kernel's doing.
 */
import { explain, WeftError } from '../errors.ts';
import { inSegment } from '../fabric/leg.ts';
import { type Publication, publicationElements } from '../fabric/publication.ts';
import type { HeldPort, Namespace } from '../kernel/kernel.ts';
import type { NftElements } from '../kernel/nft.ts';
import { shortId } from '../model/names.ts';
import type { NetworkCalls, PortMapping } from './calls.ts';
import { isLinked } from './endpoint-link.ts';
import { portsOf } from './host-ports.ts';
import type { LedgerEndpoint } from './ledger.ts';
import type { GiveUpLost } from './lost-endpoints.ts';
import { scopeOf } from './networks.ts';
import { filterScope, type Scope } from './reconciler.ts';
import type { ThisHost } from './this-host.ts';

export interface PublicationParts extends Pick<ThisHost, 'ledger' | 'kernel' | 'views' | 'log'> {
  readonly reconciler: Pick<ThisHost['reconciler'], 'settle'>;
}

interface Place {
  /** Whose pass makes its packet filter anew. */
  readonly scope: Scope;
  readonly namespace: Namespace;
  readonly elements: readonly NftElements[];
}

export function publicationUseCases(
  { ledger, kernel, views, reconciler, log }: PublicationParts,
  giveUpLost: GiveUpLost,
): Pick<NetworkCalls, 'publish' | 'unpublish'> {
  /** By endpoint. */
  const held = new Map<string, readonly HeldPort[]>();
  const ports = portsOf(kernel, ledger);
  const restored = restore();

  async function publish(
    { endpoint: id }: { readonly endpoint: string },
    mappings: readonly PortMapping[],
  ): Promise<void> {
    await restored;
    const endpoint = ledger.endpoints.get(id);
    const network = endpoint && ledger.networks.get(endpoint.network);
    if (endpoint === undefined || network === undefined) {
      throw new WeftError('not-found', `weft on this host does not know endpoint ${shortId(id)}`);
    }
    if (network.gateway !== true || endpoint.published !== undefined) return;
    // What Docker has lost is most likely this container, as it was before.
    await giveUpLost(({ published = [] }) => published.some((one) => mappings.some(isOneOf(one))));
    const taken: HeldPort[] = [];
    held.set(id, taken);
    try {
      const published = mappings.flatMap((mapping) => ports.choose(endpoint, mapping, taken));
      const open = { ...endpoint, published };
      await ledger.endpoints.put(open);
      for (const place of await places(open)) await lead(place);
      if (published.length > 0) log.info({ endpoint: id, published }, 'published ports');
    } catch (error) {
      await unpublish({ endpoint: id });
      throw error;
    }
  }

  async function unpublish({ endpoint: id }: { readonly endpoint: string }): Promise<void> {
    for (const port of held.get(id) ?? []) port.release();
    held.delete(id);
    const endpoint = ledger.endpoints.get(id);
    if (endpoint?.published === undefined) return;
    const { published, ...unpublished } = endpoint;
    await ledger.endpoints.put(unpublished);
    const [onHost, ...inner] = await places(endpoint);
    for (const { namespace, elements } of [onHost, ...inner]) await namespace.filters.inet.delete(elements);
    // Of a segment's containers the host knows only the leg, which others use too.
    const { namespace } = inner[0] ?? onHost;
    await namespace.forget([...new Set(published.map(({ address }) => address))]);
  }

  /** Where packets to its ports are sent on: by the host, then in the segment. */
  async function places(endpoint: LedgerEndpoint): Promise<[Place, ...Place[]]> {
    const onHost = publicationElements(views.publishedByHost(endpoint));
    const first = { scope: filterScope, namespace: kernel.host, elements: onHost };
    const network = ledger.networks.get(endpoint.network);
    if (network?.leg === undefined) return [first];
    const scope = scopeOf(network);
    const elements = publicationElements((endpoint.published ?? []).map(inSegment));
    return [first, { scope, namespace: await kernel.namespace(scope), elements }];
  }

  /** Packets find their way from now on. */
  async function lead({ scope, namespace, elements }: Place): Promise<void> {
    try {
      await namespace.filters.inet.put(elements);
    } catch (error) {
      log.warn({ reason: explain(error) }, 'the packet filter is made anew');
      await reconciler.settle(scope);
    }
  }

  /** Holds what a weft that is no more had published; what a reboot has ended is published no longer. */
  async function restore(): Promise<void> {
    for (const { published, ...endpoint } of ledger.endpoints.all()) {
      if (published === undefined) continue;
      try {
        if (!(await isWired(endpoint))) {
          await ledger.endpoints.put(endpoint);
          continue;
        }
        held.set(endpoint.id, published.map(ports.hold));
      } catch (error) {
        log.warn({ endpoint: endpoint.id, reason: explain(error) }, 'cannot hold a published port');
      }
    }
  }

  async function isWired({ id, network: dockerNetwork }: LedgerEndpoint): Promise<boolean> {
    const network = ledger.networks.get(dockerNetwork);
    return network !== undefined && (await isLinked(kernel, network, id));
  }

  return { publish, unpublish };
}

/** Whether its port of the host is among those that will do. */
function isOneOf({ protocol, hostPort }: Publication): (mapping: PortMapping) => boolean {
  return (wish) => wish.protocol === protocol && wish.hostPort <= hostPort && hostPort <= wish.hostPortEnd;
}
