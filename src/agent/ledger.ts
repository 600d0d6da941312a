/**
 * What Docker has told this host, on disk: the truth about which networks, pools and endpoints exist here.
 * The store is made to agree with it (`settlement.ts`), the kernel too (`reconciler.ts`); so a call that
 * takes something away needs neither of them to succeed. Docker repeats nothing after a restart.
 *
 * One small JSON file an object, replaced by rename. Only what must outlive a power cut is synced: after
 * one, Docker itself takes back the endpoints that were running.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { explain, WeftError } from '../errors.ts';
import { poolNamesOf } from '../model/pool-name.ts';
import { keyedQueue } from '../model/queue.ts';
import { Encap } from '../model/records.ts';

const text = Type.String({ minLength: 1 });

/** A Docker network on this host, and the weft network it is. */
const LedgerNetwork = Type.Object({
  /** Docker's NetworkID. */
  id: text,
  key: text,
  fabric: text,
  vni: Type.Optional(Type.Integer()),
  mtu: Type.Optional(Type.Integer()),
  encap: Type.Optional(Encap),
  internal: Type.Boolean(),
  isolate: Type.Optional(Type.Boolean()),
  gateway: Type.Optional(Type.Boolean()),
  broadcast: Type.Optional(Type.Boolean()),
  pools: Type.Array(text),
  own: Type.Optional(Type.Array(text)),
  /** With prefix length. */
  gateways: Type.Optional(Type.Array(text)),
  /** Number of its leg, if it has one. */
  leg: Type.Optional(Type.Integer({ minimum: 1, maximum: 0x7000 })),
  interfacePrefix: text,
});
export type LedgerNetwork = Static<typeof LedgerNetwork>;

/** A RequestPool that Docker has not released. */
const LedgerPool = Type.Object({
  id: text,
  cidr: text,
  /** NetworkID, once the network is made: until then its addresses are set aside, not a container's. */
  network: Type.Optional(text),
  /** Chosen by weft; absent: asked for. */
  automatic: Type.Optional(Type.Boolean()),
  /** Of the global address space: a manager of a swarm holds it for all hosts, and makes no network with it. */
  global: Type.Optional(Type.Boolean()),
  /** As asked for by `weft.reserve`. */
  reserve: Type.Optional(text),
  /** `--ip-range` */
  range: Type.Optional(text),
  /** What `--aux-address` sets aside. */
  reserved: Type.Optional(Type.Array(text)),
});
export type LedgerPool = Static<typeof LedgerPool>;

const Published = Type.Object({
  protocol: Type.Integer({ minimum: 0, maximum: 255 }),
  hostAddress: Type.Optional(text),
  hostPort: Type.Integer({ minimum: 1, maximum: 65535 }),
  address: text,
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
});

const LedgerEndpoint = Type.Object({
  id: text,
  /** NetworkID */
  network: text,
  mac: text,
  /** Without prefix length. */
  addresses: Type.Array(text),
  /** Docker's sandbox, between Join and Leave. */
  sandbox: Type.Optional(text),
  slot: Type.Integer({ minimum: 1, maximum: 254 }),
  /** Ports of the host that lead to it. */
  published: Type.Optional(Type.Array(Published)),
  /** With which its link was made, in bytes. */
  mtu: Type.Optional(Type.Integer()),
});
export type LedgerEndpoint = Static<typeof LedgerEndpoint>;

/** A network that is on all hosts, as it came to be on this one. */
const LedgerReplica = Type.Object({
  /** Docker's name of it. */
  id: text,
  /** Id of the recipe that it follows. */
  recipe: text,
  /** Key of the weft network. */
  network: text,
  /** Docker's NetworkID here; absent: about to be made. */
  docker: Type.Optional(text),
  /** Of the store that had the recipe: in another one, that it is missing does not mean that it was taken away. */
  epoch: Type.Optional(text),
  /** Hosts that were left without it. Absent: none. */
  without: Type.Optional(Type.Array(text)),
});
export type LedgerReplica = Static<typeof LedgerReplica>;

/** Objects of one kind, in memory and below one folder. */
export class Shelf<T extends { readonly id: string }> {
  readonly #folder: string;
  readonly #durable: boolean;
  readonly #items = new Map<string, T>();
  readonly #damaged: { readonly id: string; readonly file: string }[] = [];
  readonly #inTurn = keyedQueue();
  #writes = 0;

  /** `damaged` is told of every file that cannot be used; it is left where it is. */
  constructor(
    folder: string,
    options: {
      readonly isItem: (value: unknown) => value is T;
      readonly durable: boolean;
      readonly damaged: (file: string) => void;
    },
  ) {
    this.#folder = folder;
    this.#durable = options.durable;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!name.endsWith('.json')) {
        rmSync(path);
        continue;
      }
      const item = readItem(path);
      if (options.isItem(item)) {
        this.#items.set(item.id, item);
        continue;
      }
      this.#damaged.push({ id: idIn(name), file: path });
      options.damaged(path);
    }
  }

  get(id: string): T | undefined {
    return this.#items.get(id);
  }

  all(): T[] {
    return [...this.#items.values()];
  }

  /** Of whom there was a file that cannot be used, and has been neither written anew nor taken away since. */
  damaged(): { readonly id: string; readonly file: string }[] {
    return this.#damaged.filter(({ id, file }) => !this.#items.has(id) && existsSync(file));
  }

  /**
   * Resolves when the object is on disk; it is visible at once, and stays so.
   * @throws WeftError `internal` when the disk does not take it
   */
  async put(item: T): Promise<void> {
    this.#items.set(item.id, item);
    await this.#onDisk(item.id, () => this.#write(item));
  }

  /** @throws WeftError `internal` when the disk does not let go of it */
  async delete(id: string): Promise<void> {
    this.#items.delete(id);
    await this.#onDisk(id, () => rm(this.#path(id), { force: true }));
  }

  /** What is asked for last is what is there in the end. */
  async #onDisk(id: string, change: () => Promise<void>): Promise<void> {
    try {
      await this.#inTurn(id, change);
    } catch (cause) {
      throw new WeftError(
        'internal',
        `weft cannot keep its records in ${this.#folder} (${explain(cause)}); make sure that its disk has room and may be written to`,
        { cause },
      );
    }
  }

  async #write(item: T): Promise<void> {
    this.#writes += 1;
    const path = this.#path(item.id);
    const draft = `${path}.${this.#writes}`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(item));
        if (this.#durable) await file.datasync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  #path(id: string): string {
    return join(this.#folder, `${encodeURIComponent(id)}.json`);
  }
}

function idIn(fileName: string): string {
  const name = fileName.replace(/\.json$/, '');
  try {
    return decodeURIComponent(name);
  } catch {
    // Not a name that weft gave.
    return name;
  }
}

/** What can be done with objects of one kind, wherever they are kept. */
export type Items<T extends { readonly id: string }> = Pick<
  Shelf<T>,
  'get' | 'all' | 'put' | 'delete' | 'damaged'
>;

export interface Ledger {
  readonly networks: Items<LedgerNetwork>;
  readonly pools: Items<LedgerPool>;
  readonly endpoints: Items<LedgerEndpoint>;
  readonly replicas: Items<LedgerReplica>;
}

/** Whether an endpoint has the address of that pool, by its name. One whose network is not known may be of any. */
export function usesAddress({ endpoints, networks }: Ledger, pool: string, address: string): boolean {
  return endpoints.all().some(({ network: id, addresses }) => {
    if (!addresses.includes(address)) return false;
    const network = networks.get(id);
    return network === undefined || poolNamesOf(network).includes(pool);
  });
}

const networkChecker = Compile(LedgerNetwork);
const poolChecker = Compile(LedgerPool);
const endpointChecker = Compile(LedgerEndpoint);
const replicaChecker = Compile(LedgerReplica);

export function openLedger(stateDir: string, damaged: (file: string) => void): Ledger {
  const folder = (name: string) => join(stateDir, 'ledger', name);
  return {
    networks: new Shelf(folder('networks'), {
      isItem: (item): item is LedgerNetwork => networkChecker.Check(item),
      durable: true,
      damaged,
    }),
    pools: new Shelf(folder('pools'), {
      isItem: (item): item is LedgerPool => poolChecker.Check(item),
      durable: true,
      damaged,
    }),
    endpoints: new Shelf(folder('endpoints'), {
      isItem: (item): item is LedgerEndpoint => endpointChecker.Check(item),
      durable: false,
      damaged,
    }),
    replicas: new Shelf(folder('replicas'), {
      isItem: (item): item is LedgerReplica => replicaChecker.Check(item),
      durable: true,
      damaged,
    }),
  };
}

function readItem(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
