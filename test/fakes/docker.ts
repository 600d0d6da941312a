/**
 * Docker's API as weft uses it, on a socket of its own, with networks and containers in memory. Networks of driver
 * `weft` it makes and removes as Docker does, by calling the plugin. It passes the same suite as the real thing
 * (`test/contract/docker-suite.ts`).
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Agent } from '../../src/agent/agent.ts';

export type Plugin = Pick<Agent, 'network' | 'addresses'>;

/** As in the body of `POST /networks/create`. */
interface Creation {
  readonly Name: string;
  readonly Driver?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Options?: Readonly<Record<string, string>>;
    readonly Config?: readonly Subnet[];
  };
}

interface Subnet {
  readonly Subnet?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
}

interface Network {
  readonly id: string;
  readonly creation: Creation;
  readonly subnets: readonly Subnet[];
  readonly pools: readonly { readonly poolId: string; readonly addresses: readonly string[] }[];
}

interface Container {
  readonly id: string;
  readonly network: string;
  readonly endpoint?: { readonly network: string; readonly poolId: string; readonly address: string };
}

class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class FakeDocker {
  readonly socketPath: string;
  /** Serves the driver `weft`; absent: it does not answer. */
  plugin: Plugin | undefined;
  /** Every change that was asked for by the API, as `METHOD path`. */
  readonly changes: string[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-docker-'));
  readonly #networks = new Map<string, Network>();
  /** Names of networks that are just being made. */
  readonly #making = new Set<string>();
  readonly #containers = new Map<string, Container>();
  readonly #followers = new Set<ServerResponse>();
  #server: Server | undefined;
  #made = 0;

  constructor() {
    this.socketPath = join(this.#folder, 'docker.sock');
  }

  /** Listens, on a new socket. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socketPath, resolve));
  }

  /** Ends all connections. Networks and containers stay. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true });
  }

  names(): string[] {
    return Array.from(this.#networks.values(), ({ creation }) => creation.Name).toSorted();
  }

  network(name: string): Network | undefined {
    return [...this.#networks.values()].find(({ id, creation }) => creation.Name === name || id === name);
  }

  /** As `docker network create`; answers the id. `racing`: as Docker 20.10 if another of the name is being made. */
  async createNetwork(creation: Creation, { racing = false } = {}): Promise<string> {
    const { Name, Driver = 'bridge' } = creation;
    if (!racing && (this.#making.has(Name) || this.network(Name) !== undefined))
      throw new Refused(409, `network with name ${Name} already exists`);
    const id = this.#newId();
    this.#making.add(Name);
    const made =
      Driver === 'weft'
        ? await this.#callPlugin(id, creation).finally(() => this.#making.delete(Name))
        : { pools: [], subnets: creation.IPAM?.Config ?? [] };
    this.#making.delete(Name);
    this.#networks.set(id, { id, creation, ...made });
    this.#tell('network', 'create', id);
    return id;
  }

  /** As `docker network rm`. */
  async removeNetwork(name: string): Promise<void> {
    const network = this.network(name);
    if (network === undefined) throw new Refused(404, `network ${name} not found`);
    const { id, creation, pools } = network;
    if ([...this.#containers.values()].some(({ endpoint }) => endpoint?.network === id)) {
      throw new Refused(403, `error while removing network: network ${name} has active endpoints`);
    }
    for (const { poolId, addresses } of pools) {
      for (const address of addresses) await this.plugin?.addresses.releaseAddress(poolId, address);
      await this.plugin?.addresses.releasePool(poolId);
    }
    if (creation.Driver === 'weft') await this.plugin?.network.deleteNetwork(id);
    this.#networks.delete(id);
    this.#tell('network', 'destroy', id);
  }

  /** As `docker create --net`; answers the container's id. */
  createContainer(network: string): string {
    const id = this.#newId();
    this.#containers.set(id, { id, network });
    this.#tell('container', 'create', id);
    return id;
  }

  /** As `docker start`. */
  async startContainer(id: string): Promise<void> {
    const container = this.#containers.get(id);
    const network = this.network(container?.network ?? '');
    if (container === undefined || network === undefined) throw new Refused(404, 'network not found');
    const [pool] = network.pools;
    const endpoint = { network: network.id, poolId: pool?.poolId ?? '', address: '' };
    if (this.plugin !== undefined && pool !== undefined) {
      const { addresses, network: driver } = this.plugin;
      const address = await addresses.requestAddress({ poolId: pool.poolId, purpose: 'other' });
      endpoint.address = address.replace(/\/.*/, '');
      await driver.createEndpoint({ network: network.id, endpoint: id, addresses: [address] });
      await driver.join({
        network: network.id,
        endpoint: id,
        sandbox: `/run/docker/netns/${id.slice(0, 12)}`,
      });
    }
    this.#containers.set(id, { ...container, endpoint });
    this.#tell('network', 'connect', network.id, { container: id });
  }

  /** As `docker stop`. */
  async stopContainer(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container?.endpoint === undefined) return;
    const { network, poolId, address } = container.endpoint;
    await this.plugin?.network.leave({ network, endpoint: id });
    await this.plugin?.network.deleteEndpoint({ network, endpoint: id });
    await this.plugin?.addresses.releaseAddress(poolId, address);
    this.#containers.set(id, { id, network: container.network });
    this.#tell('network', 'disconnect', network);
  }

  /** As `docker rm --force`. */
  async removeContainer(id: string): Promise<void> {
    await this.stopContainer(id);
    this.#containers.delete(id);
    this.#tell('container', 'destroy', id);
  }

  async #callPlugin(id: string, creation: Creation): Promise<Pick<Network, 'pools' | 'subnets'>> {
    const { plugin } = this;
    if (plugin === undefined)
      throw new Refused(500, 'legacy plugin: dial unix weft.sock: connect: no such file');
    const pools: { poolId: string; cidr: string; gateway: string; addresses: string[] }[] = [];
    try {
      for (const wish of creation.IPAM?.Config ?? [{}]) {
        const { poolId, cidr } = await plugin.addresses.requestPool({
          ...(wish.Subnet && { pool: wish.Subnet }),
          options: creation.IPAM?.Options ?? {},
          family: wish.Subnet?.includes(':') ? 6 : 4,
        });
        const taken = { poolId, cidr, gateway: '', addresses: [] as string[] };
        pools.push(taken);
        const request = {
          poolId,
          ...(wish.Gateway && { address: wish.Gateway }),
          purpose: 'gateway',
        } as const;
        taken.gateway = await plugin.addresses.requestAddress(request);
        taken.addresses.push(taken.gateway.replace(/\/.*/, ''));
        for (const address of Object.values(wish.AuxiliaryAddresses ?? {})) {
          await plugin.addresses.requestAddress({ poolId, address, purpose: 'other' });
          taken.addresses.push(address);
        }
      }
      await plugin.network.createNetwork({
        id,
        options: creation.Options ?? {},
        internal: creation.Internal ?? false,
        pools: pools.map(({ cidr, gateway }) => ({ cidr, gateway })),
      });
    } catch (error) {
      for (const { poolId } of pools) await plugin.addresses.releasePool(poolId);
      throw new Refused(500, error instanceof Error ? error.message : String(error));
    }
    const chosen = pools.map(({ cidr, gateway }) => ({ Subnet: cidr, Gateway: gateway.replace(/\/.*/, '') }));
    return { pools, subnets: creation.IPAM?.Config ?? chosen };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const { pathname, searchParams } = new URL(url.replace(/^\/v1\.\d+/, ''), 'http://docker');
    response.setHeader('Api-Version', '1.51');
    try {
      if (method !== 'GET') this.changes.push(`${method} ${pathname}`);
      const filters = JSON.parse(searchParams.get('filters') ?? '{}');
      switch (`${method} /${pathname.split('/')[1]}`) {
        case 'GET /_ping':
          return void response.end('OK');
        case 'GET /networks':
          return void response.end(JSON.stringify(this.#networksAsked(pathname.split('/')[2])));
        case 'POST /networks': {
          const Id = await this.createNetwork(JSON.parse(await bodyOf(request)));
          return void response.writeHead(201).end(JSON.stringify({ Id, Warning: '' }));
        }
        case 'DELETE /networks':
          await this.removeNetwork(pathname.split('/')[2] ?? '');
          return void response.writeHead(204).end();
        case 'GET /containers': {
          const [, , id = ''] = pathname.split('/');
          const answer = id === 'json' ? this.#containersOn(filters.network) : this.#inspect(id);
          return void response.end(JSON.stringify(answer));
        }
        case 'GET /events':
          this.#followers.add(response);
          request.on('close', () => this.#followers.delete(response));
          return response.flushHeaders();
        default:
          throw new Refused(404, 'page not found');
      }
    } catch (error) {
      const status = error instanceof Refused ? error.status : 500;
      response.writeHead(status).end(JSON.stringify({ message: String(error) }));
    }
  }

  #networksAsked(id: string | undefined): object {
    if (id === undefined) return Array.from(this.#networks.values(), render);
    const network = this.#networks.get(id);
    if (network === undefined) throw new Refused(404, `network ${id} not found`);
    return render(network);
  }

  #inspect(id: string): object {
    const container = this.#containers.get(id);
    if (container === undefined) throw new Refused(404, `No such container: ${id}`);
    const network = this.network(container.network)?.creation.Name ?? '';
    const isRunning = container.endpoint !== undefined;
    const place = { EndpointID: isRunning ? id : '', Aliases: null, DNSNames: [id.slice(0, 12)] };
    return { Id: id, Name: `/c${id}`, NetworkSettings: { Networks: { [network]: place } } };
  }

  /** On one of the networks; of all networks, those that run. */
  #containersOn(networks: readonly string[] | undefined): object[] {
    const isMeant = ({ network, endpoint }: Container) =>
      networks === undefined
        ? endpoint !== undefined
        : networks.includes(network) || networks.includes(endpoint?.network ?? '');
    return Array.from(this.#containers.values())
      .filter(isMeant)
      .map((container) => this.#summary(container));
  }

  #summary({ id, network: wanted, endpoint }: Container): object {
    const network = this.network(wanted);
    const place = {
      NetworkID: network?.id ?? '',
      EndpointID: endpoint === undefined ? '' : id,
      IPAddress: endpoint?.address ?? '',
    };
    return {
      ...{ Id: id, Names: [`/c${id}`] },
      NetworkSettings: { Networks: { [network?.creation.Name ?? '']: place } },
    };
  }

  #tell(type: string, action: string, id: string, attributes = {}): void {
    const line = `${JSON.stringify({ Type: type, Action: action, Actor: { ID: id, Attributes: attributes } })}\n`;
    for (const follower of this.#followers) follower.write(line);
  }

  #newId(): string {
    this.#made += 1;
    return createHash('sha256').update(`${this.#folder} ${this.#made}`).digest('hex');
  }
}

function render({ id, creation, subnets }: Network): object {
  const { Name, Driver = 'bridge', Internal = false, Attachable = false, IPAM } = creation;
  const { EnableIPv4 = true, EnableIPv6 = false, Options = {}, Labels = {} } = creation;
  return {
    ...{ Id: id, Name, Driver, Scope: 'local', Internal, Attachable, EnableIPv4, EnableIPv6 },
    ...{ ConfigOnly: false, Options, Labels },
    IPAM: { Driver: IPAM?.Driver ?? 'default', Options: IPAM?.Options ?? null, Config: subnets },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}
