/**
 * Published ports of containers whose way out is weft. Each is held for as long as weft runs, so that nobody else on
 * the host takes it; that it leads to the container is the kernel's doing.
 */
import { explain, WeftError } from '../errors.ts';
import { type Publication, publicationElements } from '../fabric/publication.ts';
import type { HeldPort } from '../kernel/kernel.ts';
import { type Family, parseAddress, printAddress } from '../model/address.ts';
import { hostEnd } from '../model/names.ts';
import type { NetworkCalls, PortMapping } from './calls.ts';
import type { LedgerEndpoint } from './ledger.ts';
import { scopeOf } from './networks.ts';
import { filterScope } from './reconciler.ts';
import type { ThisHost } from './this-host.ts';

const everyAddress = { 4: '0.0.0.0', 6: '::' } as const satisfies Record<Family, string>;

/** How often a free port is looked for that is free in both families. */
const choices = 16;

export function publicationUseCases({
  ledger,
  kernel,
  reconciler,
  log,
}: ThisHost): Pick<NetworkCalls, 'publish' | 'unpublish'> {
  /** By endpoint. */
  const held = new Map<string, readonly HeldPort[]>();
  const restored = restore();

  async function publish(
    { endpoint: id }: { readonly endpoint: string },
    mappings: readonly PortMapping[],
  ): Promise<void> {
    const endpoint = ledger.endpoints.get(id);
    const network = endpoint && ledger.networks.get(endpoint.network);
    if (endpoint === undefined || network === undefined) {
      throw new WeftError('not-found', `weft on this host does not know endpoint ${id.slice(0, 12)}`);
    }
    await restored;
    if (network.gateway !== true || endpoint.published !== undefined) return;
    const taken: HeldPort[] = [];
    try {
      const published = mappings.flatMap((mapping) => hold(endpoint, mapping, taken));
      held.set(id, taken);
      await ledger.endpoints.put({ ...endpoint, published });
      await lead(published);
      if (published.length > 0) log.info({ endpoint: id, published }, 'published ports');
    } catch (error) {
      for (const port of taken) port.release();
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
    await kernel.host.filters.inet.delete(publicationElements(published));
    await kernel.host.forget([...new Set(published.map(({ address }) => address))]);
  }

  /** Packets find their way from now on. */
  async function lead(published: readonly Publication[]): Promise<void> {
    try {
      await kernel.host.filters.inet.put(publicationElements(published));
    } catch (error) {
      log.warn({ reason: explain(error) }, 'the packet filter is made anew');
      await reconciler.settle(filterScope);
    }
  }

  /** One that is free of those that will do. Every port that is held is also put among the taken. */
  function hold(
    { addresses }: LedgerEndpoint,
    { protocol, port, hostAddress, hostPort, hostPortEnd }: PortMapping,
    taken: HeldPort[],
  ): Publication[] {
    const asked = hostAddress === undefined ? undefined : parseAddress(hostAddress);
    const at = asked?.value === 0n ? undefined : asked && printAddress(asked);
    const targets = addresses.filter((address) => !asked || parseAddress(address).family === asked.family);
    if (targets.length === 0) {
      throw new WeftError(
        'invalid',
        `port ${port} cannot be published at ${hostAddress}: the container has no such address`,
      );
    }
    const candidates =
      hostPort === 0
        ? Array.from({ length: choices }, () => 0)
        : Array.from({ length: hostPortEnd - hostPort + 1 }, (_, offset) => hostPort + offset);
    let refusal: unknown;
    for (const candidate of candidates) {
      try {
        const chosen = holdEverywhere({ protocol, port: candidate }, at, targets);
        taken.push(...chosen);
        return targets.map((address) => ({
          protocol,
          ...(at === undefined ? {} : { hostAddress: at }),
          hostPort: chosen[0]?.port ?? candidate,
          address,
          port,
        }));
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  /** The same port for every address of the container. */
  function holdEverywhere(
    wish: { readonly protocol: number; readonly port: number },
    hostAddress: string | undefined,
    targets: readonly string[],
  ): HeldPort[] {
    const ports: HeldPort[] = [];
    try {
      for (const target of targets) {
        const address = hostAddress ?? everyAddress[parseAddress(target).family];
        const port = ports[0]?.port ?? wish.port;
        refuseClash({ protocol: wish.protocol, port, hostAddress });
        ports.push(kernel.holdPort({ protocol: wish.protocol, address, port }));
      }
      return ports;
    } catch (error) {
      for (const port of ports) port.release();
      throw error;
    }
  }

  /** Of a protocol that the host does not speak, weft itself must know what it has published. */
  function refuseClash(wish: {
    readonly protocol: number;
    readonly port: number;
    readonly hostAddress: string | undefined;
  }): void {
    const holder = ledger.endpoints
      .all()
      .find(({ published = [] }) =>
        published.some(
          ({ protocol, hostPort, hostAddress }) =>
            protocol === wish.protocol &&
            hostPort === wish.port &&
            (hostAddress === undefined || wish.hostAddress === undefined || hostAddress === wish.hostAddress),
        ),
      );
    if (holder === undefined) return;
    throw new WeftError(
      'conflict',
      `port ${wish.port} of this host leads to ${holder.addresses.join(' and ')} already; publish another`,
    );
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
        const ports = published.map(({ protocol, hostAddress, hostPort, address }) =>
          kernel.holdPort({
            protocol,
            address: hostAddress ?? everyAddress[parseAddress(address).family],
            port: hostPort,
          }),
        );
        held.set(endpoint.id, ports);
      } catch (error) {
        log.warn({ endpoint: endpoint.id, reason: explain(error) }, 'cannot hold a published port');
      }
    }
  }

  async function isWired({ id, network: dockerNetwork }: LedgerEndpoint): Promise<boolean> {
    const network = ledger.networks.get(dockerNetwork);
    if (network === undefined) return false;
    const scope = scopeOf(network);
    if (scope !== 'host' && !(await kernel.namespaces()).includes(scope)) return false;
    const namespace = scope === 'host' ? kernel.host : await kernel.namespace(scope);
    const { links } = await namespace.read();
    return links.some(({ name }) => name === hostEnd(id));
  }

  return { publish, unpublish };
}
