/**
 * A network's shared record, and this host's part in it. The first host to take part makes the record, the
 * last one to leave takes it away; everybody in between must agree with it.
 */
import { WeftError } from '../errors.ts';
import { parsePoolName, poolNamesOf } from '../model/pool-name.ts';
import { type Network, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import { type Operation, type Plan, transactUntilSettled } from '../store/settle.ts';
import type { Condition, Entry, Store, Write } from '../store/store.ts';
import { agree, foreignSubnet, type JoinRequest, newNetwork, takenVnis } from './agreement.ts';

type Pace = Pick<Operation<unknown>, 'clock' | 'random'>;

export class Membership {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #hostId: string;
  readonly #pace: Pace;

  /** @param pace of what has to be tried again; absent: the system's */
  constructor(store: Store, keys: Keys, hostId: string, pace: Pace = {}) {
    this.#store = store;
    this.#keys = keys;
    this.#hostId = hostId;
    this.#pace = pace;
  }

  /**
   * Makes this host take part, and the network exist.
   * @throws WeftError `conflict` when the cluster has this network, or these subnets, otherwise
   */
  join(request: JoinRequest): Promise<Network> {
    return transactUntilSettled(this.#store, {
      ...this.#pace,
      subject: `create network ${request.key}`,
      attempt: () => this.#planJoin(request),
    });
  }

  /**
   * Takes these Docker networks out of this host's part; with the last host's last one the record goes, and
   * with it whatever endpoint records were left.
   */
  leave(key: string, dockerNetworks: readonly string[]): Promise<void> {
    return transactUntilSettled(this.#store, {
      ...this.#pace,
      subject: `leave network ${key}`,
      attempt: () => this.#planLeave(key, dockerNetworks),
    });
  }

  async #planJoin(request: JoinRequest): Promise<Plan<Network>> {
    const { key, dockerNetwork } = request;
    const networkKey = this.#keys.network(key);
    const participantKey = this.#keys.participant(key, this.#hostId);
    const recorded = await this.#store.get(networkKey);
    const participantEntry = await this.#store.get(participantKey);
    const participant =
      participantEntry === undefined
        ? { v: 1 as const, host: this.#hostId, dockerNetworks: [] }
        : readRecord(participantEntry, records.participant.parse);
    if (participant.dockerNetworks.length > 0 && request.options.network === undefined) {
      throw new WeftError(
        'conflict',
        `subnet ${key} already is a network on this host; choose another subnet, or give both the same -o weft.network=NAME if they shall be one network`,
      );
    }

    const decided =
      recorded === undefined
        ? await this.#found(request)
        : {
            network: agree(readRecord(recorded, records.network.parse), request),
            conditions: [],
            writes: [],
          };
    const { network } = decided;
    const pools = await this.#bindPools(network);
    const joined = { ...participant, dockerNetworks: [...participant.dockerNetworks, dockerNetwork] };
    return {
      result: network,
      proof: {
        key: participantKey,
        holds: (entry) =>
          entry !== undefined &&
          records.participant.parse(entry.value).dockerNetworks.includes(dockerNetwork),
      },
      transaction: {
        conditions: [
          { key: participantKey, revision: participantEntry?.revision ?? 0n },
          { key: networkKey, revision: recorded?.revision ?? 0n },
          ...decided.conditions,
          ...pools.conditions,
        ],
        writes: [
          ...decided.writes,
          { put: participantKey, value: records.participant.render(joined) },
          ...pools.writes,
        ],
      },
    };
  }

  /** The first host decides; nobody else may have made a network, and taken a VNI, since it looked. */
  async #found(request: JoinRequest) {
    const { entries, revision } = await this.#store.list(this.#keys.networks);
    const isNetwork = ({ key }: Entry) => this.#keys.parse(key)?.kind === 'network';
    const network = newNetwork(request, takenVnis(entries.filter(isNetwork)));
    return {
      network,
      conditions: [{ prefix: this.#keys.networks, unchangedSince: revision }],
      writes: [{ put: this.#keys.network(request.key), value: records.network.render(network) }],
    };
  }

  /** Every pool must be there, and be this network's or nobody's. */
  async #bindPools(network: Network): Promise<{ conditions: Condition[]; writes: Write[] }> {
    const conditions: Condition[] = [];
    const writes: Write[] = [];
    for (const name of poolNamesOf(network)) {
      const { cidr } = parsePoolName(name);
      const entry = await this.#store.get(this.#keys.pool(name));
      if (entry === undefined) {
        throw new WeftError('conflict', `subnet ${cidr} was given back meanwhile; create the network again`);
      }
      const pool = readRecord(entry, records.pool.parse);
      if (pool.network === network.key) continue;
      if (pool.network !== undefined) throw foreignSubnet(cidr, pool.network, network.key);
      conditions.push({ key: entry.key, revision: entry.revision });
      writes.push({ put: entry.key, value: records.pool.render({ ...pool, network: network.key }) });
    }
    return { conditions, writes };
  }

  async #planLeave(key: string, dockerNetworks: readonly string[]): Promise<Plan<void>> {
    const participantKey = this.#keys.participant(key, this.#hostId);
    const entry = await this.#store.get(participantKey);
    if (entry === undefined) return { done: undefined };
    const participant = readRecord(entry, records.participant.parse);
    const rest = participant.dockerNetworks.filter((id) => !dockerNetworks.includes(id));
    if (rest.length === participant.dockerNetworks.length) return { done: undefined };
    const unchanged: Condition = { key: participantKey, revision: entry.revision };
    const left = {
      result: undefined,
      proof: {
        key: participantKey,
        holds: (now: Entry | undefined) =>
          now === undefined ||
          !records.participant.parse(now.value).dockerNetworks.some((id) => dockerNetworks.includes(id)),
      },
    };
    if (rest.length > 0) {
      const value = records.participant.render({ ...participant, dockerNetworks: rest });
      return { ...left, transaction: { conditions: [unchanged], writes: [{ put: participantKey, value }] } };
    }
    const participants = this.#keys.participants(key);
    const { entries } = await this.#store.list(participants);
    const other = entries.find(({ key }) => key !== participantKey);
    if (other !== undefined) {
      // Two hosts that leave at once must not both take the other for the one that remains.
      const conditions: Condition[] = [unchanged, { key: other.key, exists: true }];
      return { ...left, transaction: { conditions, writes: [{ delete: participantKey }] } };
    }
    const unbound = await this.#unbindPools(key);
    return {
      ...left,
      transaction: {
        conditions: [unchanged, { prefix: participants, emptyExcept: participantKey }, ...unbound.conditions],
        writes: [
          { delete: participantKey },
          { delete: this.#keys.network(key) },
          { deletePrefix: this.#keys.endpoints(key) },
          { deletePrefix: this.#keys.namesOn(key) },
          ...unbound.writes,
        ],
      },
    };
  }

  /** Pools that outlive the network (somebody is about to make another with them) are free for any. */
  async #unbindPools(key: string): Promise<{ conditions: Condition[]; writes: Write[] }> {
    // What cannot be read does not stand in the way of what takes it away.
    const recorded = await this.#store.get(this.#keys.network(key));
    const conditions: Condition[] = [];
    const writes: Write[] = [];
    const network = records.network.read(recorded?.value);
    for (const name of network === undefined ? [] : poolNamesOf(network)) {
      const entry = await this.#store.get(this.#keys.pool(name));
      const bound = records.pool.read(entry?.value);
      if (entry === undefined || bound?.network !== key) continue;
      const { network: _, ...pool } = bound;
      conditions.push({ key: entry.key, revision: entry.revision });
      writes.push({ put: entry.key, value: records.pool.render(pool) });
    }
    return { conditions, writes };
  }
}

/** @throws WeftError `conflict` that names the record */
function readRecord<T>({ key, value }: Entry, parse: (json: string) => T): T {
  try {
    return parse(value);
  } catch (cause) {
    throw new WeftError(
      'conflict',
      `the record ${key} in the store is damaged or of a newer weft: run the same weft on all hosts, or delete it there`,
      { cause },
    );
  }
}
