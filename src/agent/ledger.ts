/**
 * What Docker has told this host, on disk: the truth about which networks, pools and endpoints exist here.
 * The store is made to agree with it (`settlement.ts`), the kernel too (`reconciler.ts`); so a call that
 * takes something away needs neither of them to succeed. Docker repeats nothing after a restart.
 * After a power cut Docker itself takes back the endpoints that were running, so those are not synced.
 */
import { join } from 'node:path';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Assignment } from '../model/block-record.ts';
import { text } from '../model/fields.ts';
import { poolNamesOf, poolWith } from '../model/pool-name.ts';
import { Encap } from '../model/records.ts';
import { type Items, Shelf } from './shelf.ts';

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
  /** CIDR from which automatic addresses come. */
  range: Type.Optional(text),
  /** As asked for by `weft.reserve`. */
  reserve: Type.Optional(text),
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

const offset = Type.Integer({ minimum: 0, maximum: 255 });

/** A block of this host's, as far as it gives of it while the store is away (`ipam/spares.ts`). */
const LedgerBlock = Type.Object({
  id: text,
  pool: text,
  cidr: text,
  spare: Type.Array(offset),
  freedMs: Type.Record(Type.String(), Type.Number()),
  given: Type.Record(Type.String(), Assignment),
});
export type LedgerBlock = Static<typeof LedgerBlock>;

export interface Ledger {
  readonly networks: Items<LedgerNetwork>;
  readonly pools: Items<LedgerPool>;
  readonly endpoints: Items<LedgerEndpoint>;
  readonly replicas: Items<LedgerReplica>;
  readonly blocks: Items<LedgerBlock>;
}

/** Whether an endpoint has the address of that pool, by its name. One whose network is not known may be of any. */
export function usesAddress({ endpoints, networks }: Ledger, pool: string, address: string): boolean {
  return endpoints.all().some(({ network: id, addresses }) => {
    if (!addresses.includes(address)) return false;
    const network = networks.get(id);
    return network === undefined || poolNamesOf(network).includes(pool);
  });
}

/** What endpoints have that were joined; each with the name of its pool. */
export function joinedAddresses({
  endpoints,
  networks,
}: Ledger): { readonly pool: string; readonly address: string }[] {
  return endpoints.all().flatMap(({ network: id, addresses, sandbox }) => {
    const network = networks.get(id);
    if (network === undefined || sandbox === undefined) return [];
    return addresses.flatMap((address) => {
      const pool = poolWith(poolNamesOf(network), address);
      return pool === undefined ? [] : [{ pool, address }];
    });
  });
}

export function openLedger(stateDir: string, damaged: (file: string) => void): Ledger {
  const shelf = <S extends TSchema>(name: string, schema: S, { durable }: { readonly durable: boolean }) => {
    const checker = Compile(schema);
    const isItem = (item: unknown): item is Static<S> => checker.Check(item);
    return new Shelf<Static<S>>(join(stateDir, 'ledger', name), { isItem, durable, damaged });
  };
  return {
    networks: shelf('networks', LedgerNetwork, { durable: true }),
    pools: shelf('pools', LedgerPool, { durable: true }),
    endpoints: shelf('endpoints', LedgerEndpoint, { durable: false }),
    replicas: shelf('replicas', LedgerReplica, { durable: true }),
    blocks: shelf('blocks', LedgerBlock, { durable: true }),
  };
}
