/**
 * What Docker can ask of weft, in weft's words: the seam between the RPC surface (`cnm/`) and the use cases
 * (`agent/`). Every call may come twice, late, or for something unknown; the docs say what happens then.
 * All throw WeftError; its sentence reaches the user.
 */

/** One pool of a network as Docker describes it to the network driver (its IPAMData). */
export interface NetworkPool {
  readonly cidr: string;
  /** With prefix length, as the IPAM driver answered. */
  readonly gateway?: string;
}

export interface CreateNetwork {
  readonly id: string;
  /** Every `-o`, as text. */
  readonly options: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly pools: readonly NetworkPool[];
}

export interface CreateEndpoint {
  readonly network: string;
  readonly endpoint: string;
  /** With prefix length, one or two. */
  readonly addresses: readonly string[];
  /** The user's own; absent: the driver makes one. */
  readonly mac?: string;
}

export interface EndpointKey {
  readonly network: string;
  readonly endpoint: string;
}

export interface Join extends EndpointKey {
  /** Docker's key of the sandbox: same for all endpoints of one container. */
  readonly sandbox: string;
}

/** One `-p`: a port of the container, and those of the host of which one shall lead there. */
export interface PortMapping {
  /** By IP's number: TCP 6, UDP 17, SCTP 132. */
  readonly protocol: number;
  readonly port: number;
  /** Absent: every address of the host. */
  readonly hostAddress?: string;
  /** The first and the last that will do; 0: any that is free. */
  readonly hostPort: number;
  readonly hostPortEnd: number;
}

/** What Docker shall do inside the sandbox. */
export interface Attachment {
  /** Link in the host's namespace that Docker moves in, and the prefix of its name there (`eth`). */
  readonly link: string;
  readonly prefix: string;
  /** Absent: Docker adds its own docker_gwbridge leg for the way out. */
  readonly gateways: readonly string[];
  /** `via` absent: on-link. In the order in which they must be added. */
  readonly routes: readonly { readonly destination: string; readonly via?: string }[];
}

export interface NetworkCalls {
  /**
   * Whether a network that is to be made with these options (every `-o`) needs an address of each subnet for a
   * gateway. True when it cannot be told.
   */
  needsGateway(options: Readonly<Record<string, string>>): Promise<boolean>;
  /** A second call with the same id and content succeeds. */
  createNetwork(request: CreateNetwork): Promise<void>;
  /** Unknown id: succeeds. */
  deleteNetwork(id: string): Promise<void>;
  /** Answers the MAC when the request had none. A second call with the same content answers the same. */
  createEndpoint(request: CreateEndpoint): Promise<{ readonly mac?: string }>;
  /** Shown nowhere by Docker, kept for `docker network inspect`-like tools. @throws `not-found` */
  endpointInfo(key: EndpointKey): Promise<Readonly<Record<string, string>>>;
  /** Unknown endpoint: succeeds. */
  deleteEndpoint(key: EndpointKey): Promise<void>;
  /** @throws `not-found`; leaves nothing in the kernel when it fails. */
  join(request: Join): Promise<Attachment>;
  /**
   * The endpoint has become its container's way out. A second call with the same ports succeeds.
   * @throws `conflict` when a port is taken; then none is published.
   */
  publish(key: EndpointKey, ports: readonly PortMapping[]): Promise<void>;
  /** Unknown endpoint, or none published: succeeds. */
  unpublish(key: EndpointKey): Promise<void>;
  /** Unknown endpoint: succeeds. Docker moves the link back afterwards, so it must still exist. */
  leave(key: EndpointKey): Promise<void>;
}

export interface RequestPool {
  /** From a manager of a swarm, for all its hosts. */
  readonly isGlobal?: boolean;
  /** CIDR; absent: choose one. */
  readonly pool?: string;
  /** `--ip-range` */
  readonly range?: string;
  /** Every `--ipam-opt`. */
  readonly options: Readonly<Record<string, string>>;
  readonly family: 4 | 6;
}

export interface RequestAddress {
  readonly poolId: string;
  /** Absent: choose one. */
  readonly address?: string;
  /**
   * `gateway` for the pool's gateway; `task` for one of swarm's, on its manager; `other` covers endpoints and
   * `--aux-address` (Docker does not say which).
   */
  readonly purpose: 'gateway' | 'task' | 'other';
  /** Of the container, where Docker was asked to tell. */
  readonly mac?: string;
}

export interface AddressCalls {
  /** The answer's id is distinct for every call and is what `releasePool` takes. */
  requestPool(request: RequestPool): Promise<{ readonly poolId: string; readonly cidr: string }>;
  /** Unknown id: succeeds. */
  releasePool(poolId: string): Promise<void>;
  /** Answers with prefix length. */
  requestAddress(request: RequestAddress): Promise<string>;
  /** Unknown pool, or address not held: succeeds. */
  releaseAddress(poolId: string, address: string): Promise<void>;
}
