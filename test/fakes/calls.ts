/**
 * Networks, endpoints and addresses that exist in memory only, behind the seam that Docker's calls go
 * through. Every call can be held up or made to fail before it does anything.
 */
import type {
  AddressCalls,
  Attachment,
  CreateEndpoint,
  CreateNetwork,
  EndpointKey,
  Join,
  NetworkCalls,
  PortMapping,
  RequestAddress,
  RequestPool,
} from '../../src/agent/calls.ts';
import { WeftError } from '../../src/errors.ts';

export type FakeCall = { readonly name: keyof NetworkCalls | keyof AddressCalls; readonly request: unknown };

export class FakeCalls implements NetworkCalls, AddressCalls {
  /** Every call that was let through, in order. */
  readonly made: FakeCall[] = [];
  /** Awaited before a call does anything; what it throws is what the call throws. */
  before: (call: FakeCall) => Promise<void> | void = () => {};
  readonly networks = new Map<string, CreateNetwork>();
  readonly endpoints = new Map<string, CreateEndpoint & { readonly sandbox?: string }>();
  /** By EndpointID. */
  readonly published = new Map<string, readonly PortMapping[]>();
  /** Addresses in use, by PoolID. */
  readonly pools = new Map<string, { readonly cidr: string; readonly inUse: Set<string> }>();
  /** What `join` answers, with the link named for the endpoint. */
  attachment: Omit<Attachment, 'link'> = {
    prefix: 'eth',
    gateways: [],
    routes: [{ destination: '169.254.1.1/32' }, { destination: '10.88.0.0/24', via: '169.254.1.1' }],
  };
  #references = 0;

  async needsGateway(options: Readonly<Record<string, string>>): Promise<boolean> {
    await this.#enter('needsGateway', options);
    return options['weft.gateway'] === 'on';
  }

  async createNetwork(request: CreateNetwork): Promise<void> {
    await this.#enter('createNetwork', request);
    const held = this.networks.get(request.id);
    if (held !== undefined && JSON.stringify(held) !== JSON.stringify(request)) {
      throw new WeftError('conflict', `network ${request.id} exists with other settings`);
    }
    this.networks.set(request.id, request);
  }

  async deleteNetwork(id: string): Promise<void> {
    await this.#enter('deleteNetwork', id);
    this.networks.delete(id);
  }

  async createEndpoint(request: CreateEndpoint): Promise<{ readonly mac?: string }> {
    await this.#enter('createEndpoint', request);
    if (!this.networks.has(request.network)) {
      throw new WeftError('not-found', `network ${request.network} does not exist`);
    }
    this.endpoints.set(request.endpoint, request);
    return request.mac === undefined ? { mac: '02:77:00:00:00:01' } : {};
  }

  async endpointInfo(key: EndpointKey): Promise<Readonly<Record<string, string>>> {
    await this.#enter('endpointInfo', key);
    return { addresses: this.#endpoint(key).addresses.join(' ') };
  }

  async deleteEndpoint(key: EndpointKey): Promise<void> {
    await this.#enter('deleteEndpoint', key);
    this.endpoints.delete(key.endpoint);
  }

  async join(request: Join): Promise<Attachment> {
    await this.#enter('join', request);
    this.endpoints.set(request.endpoint, { ...this.#endpoint(request), sandbox: request.sandbox });
    return { link: `weft${request.endpoint.slice(0, 7)}`, ...this.attachment };
  }

  async publish(key: EndpointKey, ports: readonly PortMapping[]): Promise<void> {
    await this.#enter('publish', { ...key, ports });
    this.published.set(key.endpoint, ports);
  }

  async unpublish(key: EndpointKey): Promise<void> {
    await this.#enter('unpublish', key);
    this.published.delete(key.endpoint);
  }

  async leave(key: EndpointKey): Promise<void> {
    await this.#enter('leave', key);
    const endpoint = this.endpoints.get(key.endpoint);
    if (endpoint === undefined) return;
    const { sandbox: _, ...left } = endpoint;
    this.endpoints.set(key.endpoint, left);
  }

  async requestPool(request: RequestPool): Promise<{ readonly poolId: string; readonly cidr: string }> {
    await this.#enter('requestPool', request);
    this.#references += 1;
    const cidr = request.pool ?? (request.family === 6 ? 'fd00:88::/64' : `10.88.${this.#references}.0/24`);
    const poolId = `${this.#references}@${cidr}`;
    this.pools.set(poolId, { cidr, inUse: new Set() });
    return { poolId, cidr };
  }

  async releasePool(poolId: string): Promise<void> {
    await this.#enter('releasePool', poolId);
    this.pools.delete(poolId);
  }

  async requestAddress(request: RequestAddress): Promise<string> {
    await this.#enter('requestAddress', request);
    const pool = this.pools.get(request.poolId);
    if (pool === undefined) throw new WeftError('not-found', `pool ${request.poolId} does not exist`);
    const [base = '', length = ''] = pool.cidr.split('/');
    const hosts = Array.from({ length: 254 }, (_, index) => base.replace(/\d*$/, String(index + 1)));
    const address = request.address ?? hosts.find((host) => !pool.inUse.has(host));
    if (address === undefined) throw new WeftError('exhausted', `pool ${pool.cidr} has no address left`);
    pool.inUse.add(address);
    return `${address}/${length}`;
  }

  async releaseAddress(poolId: string, address: string): Promise<void> {
    await this.#enter('releaseAddress', { poolId, address });
    this.pools.get(poolId)?.inUse.delete(address);
  }

  async #enter(name: FakeCall['name'], request: unknown): Promise<void> {
    const call = { name, request };
    await this.before(call);
    this.made.push(call);
  }

  #endpoint({ endpoint, network }: EndpointKey) {
    const held = this.endpoints.get(endpoint);
    if (held !== undefined) return held;
    throw new WeftError('not-found', `endpoint ${endpoint} of network ${network} does not exist`);
  }
}
