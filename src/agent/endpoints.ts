/** Endpoints: a container's place on a network, from CreateEndpoint to DeleteEndpoint. */
import { explain, WeftError } from '../errors.ts';
import { containerMtu, type Fabric, type LocalEndpoint } from '../fabric/fabric.ts';
import { fabrics } from '../fabric/registry.ts';
import { sendersOf } from '../fabric/senders.ts';
import { diff } from '../kernel/diff.ts';
import type { Namespace } from '../kernel/namespace.ts';
import { emptyState } from '../kernel/state.ts';
import { contains, parseInterface, parsePrefix, printAddress } from '../model/address.ts';
import { containerEnd, hostEnd, macOf, shortId } from '../model/names.ts';
import { poolNamesOf } from '../model/pool-name.ts';
import type { Attachment, CreateEndpoint, EndpointKey, Join, NetworkCalls } from './calls.ts';
import type { LedgerEndpoint, LedgerNetwork } from './ledger.ts';
import { scopeOf } from './networks.ts';
import { filterScope } from './reconciler.ts';
import type { ThisHost } from './this-host.ts';
import { localEndpoint, networkOf } from './views.ts';

export function endpointUseCases(
  host: ThisHost,
  { unpublish }: Pick<NetworkCalls, 'unpublish'>,
): Pick<NetworkCalls, 'createEndpoint' | 'endpointInfo' | 'deleteEndpoint' | 'join' | 'leave'> & {
  /** Whether a Join of it has begun, and not ended: its link may be made yet. */
  isJoining(endpointId: string): boolean;
  /** Whether a Join of it has come since weft started. */
  hasJoined(endpointId: string): boolean;
} {
  const { ledger, announcements, kernel, views, reconciler, log } = host;

  let filterSeen = false;
  const joining = new Set<string>();
  const joined = new Set<string>();

  async function createEndpoint(request: CreateEndpoint): Promise<{ readonly mac?: string }> {
    const network = knownNetwork(request.network);
    const addresses = request.addresses.map((text) => addressIn(network, text));
    const [first] = addresses;
    if (first === undefined) {
      throw new WeftError(
        'invalid',
        `endpoint ${shortId(request.endpoint)} of network ${network.key} has no address`,
      );
    }
    const mac = request.mac ?? macOf(first);
    const answer = request.mac === undefined ? { mac } : {};
    if (ledger.endpoints.get(request.endpoint) !== undefined) return answer;
    const isHere = (other: LedgerEndpoint) => ledger.networks.get(other.network)?.key === network.key;
    const others = ledger.endpoints.all().filter(isHere);
    const taken = addresses.find((address) => others.some((other) => other.addresses.includes(address)));
    if (taken !== undefined) {
      throw new WeftError(
        'conflict',
        `address ${taken} is in use by another container on this host: choose another`,
      );
    }
    const endpoint: LedgerEndpoint = { id: request.endpoint, network: network.id, mac, addresses, slot: 1 };
    try {
      await ledger.endpoints.put(endpoint);
      const record = { v: 1 as const, id: endpoint.id, network: network.key, host: host.id, mac, addresses };
      const pools = poolNamesOf(network);
      await host.eitherWay(
        () => announcements.announce(record, pools).then(() => true),
        async () => (await announcements.vouch(record, pools)) || undefined,
      );
    } catch (error) {
      await ledger.endpoints.delete(endpoint.id);
      throw error;
    }
    return answer;
  }

  async function join(request: Join): Promise<Attachment> {
    joining.add(request.endpoint);
    joined.add(request.endpoint);
    try {
      return await wire(request);
    } finally {
      joining.delete(request.endpoint);
    }
  }

  async function wire({ network: networkId, endpoint: id, sandbox }: Join): Promise<Attachment> {
    const network = knownNetwork(networkId);
    const fabric = knownFabric(network);
    const known = knownEndpoint(id, network);
    const slot = freeSlot(sandbox, known);
    const mtu = containerMtu(fabric, networkOf(network), host.underlay());
    const endpoint = { ...known, sandbox, slot, mtu };
    await ledger.endpoints.put(endpoint);
    const local = localEndpoint(endpoint, network.key, host.id);
    const record = networkOf(network);
    const view = {
      ...views.network(record, new Map(), () => false),
      beyond: views.beyond(record, sandbox),
    };
    try {
      const namespace = await namespaceOf(network);
      await Promise.all([
        namespace.apply(diff(emptyState, fabric.endpoint(view, local))),
        admit(network, fabric, namespace, local),
      ]);
    } catch (error) {
      await detachNowOrLater(network, fabric, local);
      await ledger.endpoints.put(known);
      throw new WeftError(
        'kernel',
        `endpoint ${shortId(id)} of network ${network.key} could not be wired: ${explain(error)}`,
        { cause: error },
      );
    }
    // Docker may have closed the FORWARD chain since the last look, as it does at every start.
    if (!filterSeen) reconciler.mark(filterScope);
    filterSeen = true;
    return { link: containerEnd(id), prefix: network.interfacePrefix, ...fabric.sandbox(view, local) };
  }

  async function leave({ endpoint: id }: EndpointKey): Promise<void> {
    const endpoint = ledger.endpoints.get(id);
    if (endpoint?.sandbox === undefined) return;
    const { sandbox: _, ...left } = endpoint;
    await ledger.endpoints.put(left);
  }

  async function deleteEndpoint({ network: networkId, endpoint: id }: EndpointKey): Promise<void> {
    const endpoint = ledger.endpoints.get(id);
    const network = ledger.networks.get(endpoint?.network ?? networkId);
    // Else it is gone at once: one that is given up as left over must not be joined meanwhile.
    if (endpoint === undefined || endpoint.published !== undefined) {
      await unpublish({ network: networkId, endpoint: id }).catch((error: unknown) => {
        log.warn({ endpoint: id, reason: explain(error) }, 'its ports will be given up later');
        reconciler.mark(filterScope);
      });
    }
    await ledger.endpoints.delete(id);
    joined.delete(id);
    if (endpoint === undefined || network === undefined) return;
    const fabric = knownFabric(network);
    const local = localEndpoint(endpoint, network.key, host.id);
    await Promise.all([
      detachNowOrLater(network, fabric, local),
      host.giveBack(`endpoint ${id}`, () => announcements.withdraw(network.key, id)),
    ]);
  }

  async function endpointInfo({ endpoint: id }: EndpointKey): Promise<Readonly<Record<string, string>>> {
    const endpoint = ledger.endpoints.get(id);
    const network = endpoint && ledger.networks.get(endpoint.network);
    if (endpoint === undefined || network === undefined) throw unknownEndpoint(id);
    return { 'weft.network': network.key, 'weft.fabric': network.fabric, 'weft.link': hostEnd(id) };
  }

  async function detachNowOrLater(
    network: LedgerNetwork,
    fabric: Fabric,
    endpoint: LocalEndpoint,
  ): Promise<void> {
    try {
      await detach(network, fabric, endpoint);
    } catch (error) {
      log.warn({ endpoint: endpoint.id, reason: explain(error) }, 'its link will be removed later');
      reconciler.mark(scopeOf(network));
    }
  }

  /** Its routes and addresses go with the link. */
  async function detach(network: LedgerNetwork, fabric: Fabric, endpoint: LocalEndpoint): Promise<void> {
    const view = views.network(networkOf(network), new Map(), () => false);
    const namespace = await namespaceOf(network);
    await Promise.all([
      namespace.apply(diff(fabric.endpoint(view, endpoint), emptyState)),
      namespace.filters[fabric.filter].delete(sendersOf(endpoint)),
    ]);
    // Last, or its last packets would be remembered.
    await namespace.forget(endpoint.addresses);
  }

  /** Lets the network hear the endpoint. */
  async function admit(
    network: LedgerNetwork,
    fabric: Fabric,
    { filters }: Namespace,
    endpoint: LocalEndpoint,
  ): Promise<void> {
    try {
      await filters[fabric.filter].put(sendersOf(endpoint));
    } catch (error) {
      // Somebody has flushed the table. A pass makes it anew, this endpoint included.
      log.warn({ network: network.key, reason: explain(error) }, 'the packet filter is made anew');
      await reconciler.settle(fabric.isolated ? scopeOf(network) : filterScope);
    }
  }

  async function namespaceOf(network: LedgerNetwork): Promise<Namespace> {
    const scope = scopeOf(network);
    if (scope === 'host') return kernel.host;
    // Its first container on this host finds no way to others there; and a reboot takes all of it.
    const isThere = (await kernel.namespaces()).includes(scope) && reconciler.wasInLine(scope);
    if (!isThere || !host.leadsToOthers(scope)) await reconciler.settle(scope);
    return kernel.namespace(scope);
  }

  function knownNetwork(id: string): LedgerNetwork {
    const network = ledger.networks.get(id);
    if (network !== undefined) return network;
    throw new WeftError(
      'not-found',
      `weft on this host does not know network ${shortId(id)}; remove it with docker network rm and create it again`,
    );
  }

  function knownEndpoint(id: string, network: LedgerNetwork): LedgerEndpoint {
    const endpoint = ledger.endpoints.get(id);
    if (endpoint?.network === network.id) return endpoint;
    throw unknownEndpoint(id);
  }

  function freeSlot(sandbox: string, joining: LedgerEndpoint): number {
    const taken = new Set(
      ledger.endpoints
        .all()
        .filter((endpoint) => endpoint.sandbox === sandbox && endpoint.id !== joining.id)
        .map(({ slot }) => slot),
    );
    let slot = 1;
    while (taken.has(slot)) slot += 1;
    return slot;
  }

  return {
    ...{ createEndpoint, endpointInfo, deleteEndpoint, join, leave },
    isJoining: (id) => joining.has(id),
    hasJoined: (id) => joined.has(id),
  };
}

function knownFabric({ key, fabric: name }: LedgerNetwork): Fabric {
  const fabric = fabrics.get(name);
  if (fabric !== undefined) return fabric;
  throw new WeftError(
    'invalid',
    `network ${key} is of fabric ${name}, which this weft does not know; upgrade it`,
  );
}

/** Canonical, without prefix length. Another address would be routed to this host all the same. */
function addressIn({ key, pools }: LedgerNetwork, text: string): string {
  const { address } = parseInterface(text);
  if (pools.some((pool) => contains(parsePrefix(pool), address))) return printAddress(address);
  throw new WeftError(
    'invalid',
    `address ${text} is in no subnet of network ${key}, which has ${pools.join(' and ')}; let weft-ipam choose it, or give --ip one of these`,
  );
}

function unknownEndpoint(id: string): WeftError {
  return new WeftError('not-found', `weft on this host does not know endpoint ${shortId(id)}`);
}
