/**
 * A Docker host of a play: what Docker asks of weft, does when it is refused, and believes of its containers; and the
 * weft under it, which another follows at once when it dies, with what is on the disk.
 */
import assert from 'node:assert/strict';
import { WeftError } from '../../../src/errors.ts';
import type { Keys } from '../../../src/store/keys.ts';
import { emptyDisk } from '../../fakes/ledger.ts';
import { Life } from '../../fakes/mortal.ts';
import type { Line } from './surroundings.ts';
import { startWeft, type Weft, type WeftOptions } from './weft.ts';
import type { Witness } from './witness.ts';

export interface DockerHostOptions extends Omit<WeftOptions, 'store' | 'disk' | 'life' | 'hasLink'> {
  readonly line: Line;
  readonly keys: Keys;
  readonly witness: Witness;
  readonly pause: (steps: number) => Promise<void>;
  /** Told of every call and look. */
  readonly count: (operation: string) => void;
}

interface DockerNetwork {
  readonly id: string;
  readonly poolId: string;
  /** Without prefix length. */
  readonly gateway: string | undefined;
}

export class DockerHost {
  readonly id: string;
  readonly line: Line;
  /** It cannot say that it is alive. */
  isSilent = false;
  /** It is between asking for a subnet and having the network. */
  isMakingNetwork = false;
  readonly #options: DockerHostOptions;
  readonly #disk = emptyDisk();
  #life = new Life();
  #weft: Weft;
  #network: DockerNetwork | undefined;
  #starting = 0;
  /** Containers that run: the address of each, by endpoint. */
  #containers = new Map<string, string>();
  /** Endpoints for which Join has been asked, and no container runs yet. */
  readonly #joining = new Set<string>();
  /** Whatever weft has ever answered. */
  readonly #given: string[] = [];
  /** Another after each power cut: what the Docker before it was about to do does not happen. */
  #docker = {};
  /** What Docker is in the middle of, and was at the last look. */
  readonly #pending = new Set<Promise<unknown>>();
  #pendingAtLook: readonly Promise<unknown>[] = [];

  constructor(options: DockerHostOptions) {
    this.#options = options;
    this.id = options.hostId;
    this.line = options.line;
    this.#weft = this.#boot();
  }

  #boot(): Weft {
    const life = new Life();
    life.onEnd = () => {
      this.#weft.end();
      this.#weft = this.#boot();
    };
    this.#life = life;
    return startWeft({
      ...this.#options,
      ...{ store: this.line.store, disk: this.#disk, life },
      hasLink: (endpoint) => this.#joining.has(endpoint) || this.#containers.has(endpoint),
    });
  }

  /** weft dies at that step of what it does next, and is started again. */
  killAt(step: number, when: 'before' | 'after'): void {
    this.#life.endAt(step, when);
  }

  /** What was to come of `killAt` does not. */
  spare(): void {
    this.#life.endAt(Number.POSITIVE_INFINITY, 'before');
  }

  /** Everything ends. @param keepsEndpoints whether those had been synced to the disk */
  cutPower(keepsEndpoints: boolean): void {
    for (const address of this.#containers.values()) this.#options.witness.ends(address);
    this.#containers = new Map();
    this.#docker = {};
    if (!keepsEndpoints) this.#disk.endpoints.clear();
    this.#life.end();
  }

  /** `docker network create` */
  async createNetwork(subnet: string, options: { readonly withGateway: boolean }): Promise<void> {
    if (this.#network !== undefined || this.isMakingNetwork) return;
    this.isMakingNetwork = true;
    try {
      await this.#asPending(this.#makeNetwork(subnet, options));
    } finally {
      this.isMakingNetwork = false;
    }
  }

  async #makeNetwork(subnet: string, options: { readonly withGateway: boolean }): Promise<void> {
    const family = subnet.includes(':') ? 6 : 4;
    const named = { 'weft.network': 'blue' };
    const { poolId } = await this.#ask('RequestPool', ({ addresses }) =>
      addresses.requestPool({ pool: subnet, options: named, family }),
    );
    try {
      const gateway = options.withGateway
        ? await this.#ask('RequestAddress', ({ addresses }) =>
            addresses.requestAddress({ poolId, purpose: 'gateway' }),
          )
        : undefined;
      const id = this.#options.randomId();
      const pools = [{ cidr: subnet, ...(gateway !== undefined && { gateway }) }];
      await this.#ask('CreateNetwork', ({ network }) =>
        network.createNetwork({ id, options: named, internal: false, pools }),
      );
      this.#network = { id, poolId, gateway: gateway && withoutLength(gateway) };
    } catch (error) {
      await this.#tell('ReleasePool', ({ addresses }) => addresses.releasePool(poolId));
      throw error;
    }
  }

  /** `docker network rm`, which Docker refuses while containers run or are about to. */
  async removeNetwork(): Promise<void> {
    const network = this.#network;
    if (network === undefined || this.#containers.size + this.#starting > 0) return;
    this.#network = undefined;
    await this.#tell('ReleasePool', ({ addresses }) => addresses.releasePool(network.poolId));
    await this.#tell('DeleteNetwork', (weft) => weft.network.deleteNetwork(network.id));
  }

  /** `docker run`. @param hesitation steps between its address and its endpoint */
  async start(wanted: string | undefined, hesitation: number): Promise<void> {
    this.#starting += 1;
    try {
      await this.#start(wanted, hesitation);
    } finally {
      this.#starting -= 1;
    }
  }

  async #start(wanted: string | undefined, hesitation: number): Promise<void> {
    const network = this.#network;
    const address = await this.requestAddress(wanted);
    if (network === undefined || address === undefined) return;
    await this.#meanwhile(() => this.#options.pause(hesitation));
    const endpoint = this.#options.randomId();
    // Docker joins an endpoint as soon as it is made.
    try {
      await this.#asPending(this.#attach(network, endpoint, address));
      this.#options.witness.starts(address, this.id, endpoint);
      this.#containers.set(endpoint, address);
    } finally {
      this.#joining.delete(endpoint);
    }
  }

  async #attach(network: DockerNetwork, endpoint: string, address: string): Promise<void> {
    const key = { network: network.id, endpoint };
    try {
      await this.#ask('CreateEndpoint', (weft) =>
        weft.network.createEndpoint({ ...key, addresses: [`${address}/${lengthFor(address)}`] }),
      );
    } catch (error) {
      await this.#releaseAddress(network, address);
      throw error;
    }
    this.#joining.add(endpoint);
    try {
      await this.#ask('Join', (weft) => weft.join(key));
    } catch (error) {
      await this.#removeEndpoint(network, endpoint, address);
      throw error;
    }
  }

  /** The first half of `docker run`. */
  async requestAddress(wanted: string | undefined): Promise<string | undefined> {
    const network = this.#network;
    if (network === undefined) return undefined;
    const { poolId, gateway } = network;
    const request = { poolId, purpose: 'other', ...(wanted !== undefined && { address: wanted }) } as const;
    const answer = await this.#ask('RequestAddress', ({ addresses }) => addresses.requestAddress(request));
    const address = withoutLength(answer);
    assert.notEqual(address, gateway, 'the gateway was given to a container');
    if (wanted !== undefined) assert.equal(address, wanted, 'another address was given than was asked for');
    this.#given.push(address);
    return address;
  }

  /** `docker rm --force` of one of its containers. */
  async stop(nth: number): Promise<void> {
    const network = this.#network;
    const [endpoint, address] = [...this.#containers][nth % this.#containers.size] ?? [];
    if (network === undefined || endpoint === undefined || address === undefined) return;
    this.#containers.delete(endpoint);
    this.#options.witness.ends(address);
    await this.#tell('Leave', (weft) => weft.network.leave({ network: network.id, endpoint }));
    await this.#removeEndpoint(network, endpoint, address);
  }

  async stopAll(): Promise<void> {
    while (this.#containers.size > 0) await this.stop(0);
  }

  /** A late copy of a call for an earlier container. */
  async releaseAgain(nth: number): Promise<void> {
    const address = this.#given[nth % this.#given.length];
    if (this.#network !== undefined && address !== undefined) {
      await this.#releaseAddress(this.#network, address);
    }
  }

  /**
   * One look for what is held for nobody. No call lasts from one look to the next: weft answers within 8 s and
   * looks every 30.
   */
  async look(): Promise<void> {
    await this.#meanwhile(async () => void (await Promise.allSettled(this.#pendingAtLook)));
    if (!this.isSilent) await this.#announceItself();
    try {
      await this.#ask('look', (weft) => weft.look());
    } finally {
      this.#pendingAtLook = [...this.#pending];
    }
  }

  /** Resolves when its weft knows all that had happened by that revision of the store. */
  async hears(revision: bigint): Promise<void> {
    await this.#weft.hasHeard(revision);
  }

  end(): void {
    this.#life.onEnd = () => {};
    this.#weft.end();
  }

  async #removeEndpoint(network: DockerNetwork, endpoint: string, address: string): Promise<void> {
    const key = { network: network.id, endpoint };
    await this.#tell('DeleteEndpoint', (weft) => weft.network.deleteEndpoint(key));
    await this.#releaseAddress(network, address);
  }

  async #releaseAddress({ poolId }: DockerNetwork, address: string): Promise<void> {
    await this.#tell('ReleaseAddress', ({ addresses }) => addresses.releaseAddress(poolId, address));
  }

  /** As its lease does; whether it is heard decides nothing but what others may take from it. */
  async #announceItself(): Promise<void> {
    const { keys } = this.#options;
    const writes = [{ put: keys.alive(this.id), value: this.id }];
    await this.line.store.transact({ conditions: [], writes }).catch(() => undefined);
  }

  /** As Docker asks for removals: it only logs a refusal, and goes on. */
  async #tell(operation: string, call: (weft: Weft) => Promise<void>): Promise<void> {
    await this.#ask(operation, call).catch((error: unknown) => {
      if (!(error instanceof WeftError)) throw error;
    });
  }

  /** What Docker hears. @throws WeftError also when weft dies over it */
  async #ask<T>(operation: string, call: (weft: Weft) => Promise<T>): Promise<T> {
    this.#options.count(operation);
    return this.#meanwhile(async () => {
      // It may die as it is asked, and have a successor by then.
      const { ended } = this.#life;
      const answering = call(this.#weft);
      const answer = Promise.race([answering, ended.then(() => died)]);
      if ((await this.#asPending(answer)) !== died) return await answering;
      throw new WeftError('unavailable', 'weft has died');
    });
  }

  async #asPending<T>(work: Promise<T>): Promise<T> {
    this.#pending.add(work);
    try {
      return await work;
    } finally {
      this.#pending.delete(work);
    }
  }

  /** @throws WeftError when the power has been cut meanwhile */
  async #meanwhile<T>(task: () => Promise<T>): Promise<T> {
    const docker = this.#docker;
    const result = await task();
    if (docker !== this.#docker) throw new WeftError('unavailable', 'the power was cut');
    return result;
  }
}

const died = Symbol('died');

function withoutLength(address: string): string {
  return address.replace(/\/.*/, '');
}

function lengthFor(address: string): number {
  return address.includes(':') ? 128 : 32;
}
