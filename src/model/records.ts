/**
 * The records that hosts share through the store: one JSON text each, with a version. A record that is
 * damaged or newer than this weft is refused here, by name, and the caller goes on without it.
 */
import { isIP } from 'node:net';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { WeftError } from '../errors.ts';
import { isPrefix } from './address.ts';
import { isPoolName } from './pool-name.ts';

const version = Type.Literal(1);
const text = Type.String({ minLength: 1 });
/** Checked here, because one that is none would stop whatever is computed with it, for all networks. */
const address = Type.Refine(
  Type.String({ pattern: '^[0-9a-f.:]+$' }),
  (value) => isIP(value) !== 0,
  () => 'must be an IP address',
);
const cidr = Type.Refine(Type.String(), isPrefix, () => 'must be a subnet');
const mac = Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' });
/** From the block's first address, as JSON has its keys. */
const offset = Type.String({ pattern: '^([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$' });

/** `hosts/<id>`: a machine that runs weft. Outlives its absence; removed only by reclaiming the host. */
const Host = Type.Object({
  v: version,
  id: text,
  name: text,
  /** Underlay address at which the other hosts reach it: next hop and VTEP. */
  address,
  /** Of its uplink; with `boot` and the address it tells the machine from a copy of it. */
  mac: Type.Optional(text),
  /** Which start of the machine this is. Absent of both: written by a weft that did not tell. */
  boot: Type.Optional(text),
  /** IPv6 link-local address of its uplink: next hop of IPv6 routes where `address` is an IPv4 one. */
  linkLocal: Type.Optional(address),
  /** Bytes that fit through its uplink. Absent: written by a weft that did not tell. */
  mtu: Type.Optional(Type.Integer({ minimum: 68 })),
  /** CIDRs in the ranges of automatic subnets that it reaches by routes that are not weft's. */
  routes: Type.Optional(Type.Array(cidr)),
});
export type Host = Static<typeof Host>;

/** Whether a fabric that can do without encapsulates between hosts. */
export const Encap = Type.Union([Type.Literal('auto'), Type.Literal('never'), Type.Literal('always')]);
export type Encap = Static<typeof Encap>;

/** `config`: what the cluster has settled for itself, once and for all its hosts. */
const Config = Type.Object({
  v: version,
  /** Range of automatic IPv6 subnets, a CIDR. */
  range6: cidr,
});
export type ClusterConfig = Static<typeof Config>;

/** `networks/<key>`: what all hosts of a network agree on. */
const Network = Type.Object({
  v: version,
  key: text,
  fabric: text,
  /** Present when the fabric encapsulates; unique in the cluster. */
  vni: Type.Optional(Type.Integer({ minimum: 1, maximum: 0xffffff })),
  /** Bytes, as the user asked; absent: each host follows its uplink. */
  mtu: Type.Optional(Type.Integer({ minimum: 68, maximum: 65535 })),
  /** Whether packets between hosts are encapsulated, for a fabric that can do without; absent: auto. */
  encap: Type.Optional(Encap),
  internal: Type.Boolean(),
  /** False: may be reached from other networks that say so too. Absent: true. */
  isolate: Type.Optional(Type.Boolean()),
  /** Whether weft, and not Docker, is its containers' way out. Absent: false. */
  gateway: Type.Optional(Type.Boolean()),
  /** Whether what one container sends to all reaches those on other hosts. Absent: false. */
  broadcast: Type.Optional(Type.Boolean()),
  /** In Docker's order. */
  pools: Type.Array(cidr),
  /** Those of them that other networks have too, so that their pools bear this one's name. */
  own: Type.Optional(Type.Array(cidr)),
});
export type Network = Static<typeof Network>;

/** `networks/<key>/hosts/<hostId>`: this host takes part, by these Docker networks. */
const Participant = Type.Object({ v: version, host: text, dockerNetworks: Type.Array(text) });
export type Participant = Static<typeof Participant>;

/** `pools/<pool>`: a subnet in use somewhere in the cluster. */
const Pool = Type.Object({
  v: version,
  cidr,
  /** Key of the network it belongs to, once a network is made with it. */
  network: Type.Optional(text),
  gateway: Type.Optional(address),
  /** Addresses in each of its blocks, a power of two; absent: 64. */
  blockSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
  /** Addresses the user set aside (`--aux-address`); never handed out by themselves. */
  reserved: Type.Array(address),
  /** Those that are kept for who asks for them by name (`weft.reserve`), with the name of whom each is for. */
  reservedFor: Type.Optional(Type.Record(Type.String({ pattern: '^[0-9a-f.:]+$' }), text)),
});
export type Pool = Static<typeof Pool>;

/** `pools/<pool>/references/<id>`: one RequestPool that has not been released. `<id>@<pool>` is Docker's PoolID. */
const PoolReference = Type.Object({
  v: version,
  host: text,
  /** `--ip-range`: automatic addresses of this reference come from here only. */
  range: Type.Optional(cidr),
  /** Milliseconds since 1970, of the host's clock. */
  sinceMs: Type.Number(),
});
export type PoolReference = Static<typeof PoolReference>;

/** One address of a block that is in use. */
export const Assignment = Type.Object({
  host: text,
  /** Names the operation that wrote it, so that a lost answer can be settled by reading back. */
  operation: text,
  sinceMs: Type.Number(),
  /** Of the container, where Docker tells. */
  mac: Type.Optional(mac),
});
export type Assignment = Static<typeof Assignment>;

/** One address of a block that swarm's manager has chosen for a task, whose host will ask for it by name. */
const Reservation = Type.Object({
  /** Of the pool: the RequestPool through which it was made, and is taken back. */
  reference: text,
  /** As of an assignment. */
  operation: text,
});
export type Reservation = Static<typeof Reservation>;

/** `blocks/<pool>/<cidr>`: the slice of a pool from which one host serves its containers. */
const Block = Type.Object({
  v: version,
  cidr,
  /** Its name. */
  pool: Type.Refine(Type.String(), isPoolName, () => 'must be the name of a pool'),
  /** Host that serves automatic addresses from it, and to which all others route it. */
  owner: text,
  /** Grows with every write: it tells whether a block is still as it was at an earlier look. */
  sequence: Type.Integer(),
  /** Offsets given back, longest-free first. What is nowhere in the record was never used. */
  freed: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
  /** When each of these was, by offset; milliseconds since 1970. Absent of one: longer ago than matters. */
  freedMs: Type.Optional(Type.Record(offset, Type.Number())),
  /** Whose each of these was, by offset: a MAC, as far as it is known. */
  freedBy: Type.Optional(Type.Record(offset, mac)),
  /** By offset from the block's first address. */
  assigned: Type.Record(offset, Assignment),
  /** By offset too; such an address may be assigned as well, or not yet. */
  reserved: Type.Optional(Type.Record(offset, Reservation)),
  /** Offsets that only the owner gives to containers, and by itself while the store is away. */
  spare: Type.Optional(Type.Array(Type.Integer({ minimum: 0, maximum: 255 }))),
});
export type Block = Static<typeof Block>;

/** Its owner, and those who hold single addresses of it. */
export function holdersOf({ owner, assigned }: Block): string[] {
  return [owner, ...Object.values(assigned).map(({ host }) => host)];
}

/** `endpoints/<network>/<id>`: a container's place on a network. */
const Endpoint = Type.Object({
  v: version,
  id: text,
  network: text,
  host: text,
  mac,
  /** Without prefix length; at most one of each family. */
  addresses: Type.Array(address),
});
export type Endpoint = Static<typeof Endpoint>;

/** `names/<network>/<endpoint>`: what a container is called on a network. Goes with the endpoint. */
const Names = Type.Object({
  v: version,
  /** The one that it is told by comes first. */
  names: Type.Array(text, { minItems: 1 }),
  /** The network's name in Docker, where the container is: each name may be followed by a dot and this. */
  domain: text,
});
export type Names = Static<typeof Names>;

const texts = Type.Record(Type.String(), Type.String());

/** `recipes/<name>`: what to make a Docker network with, so that it is there under its name on every host. */
const Recipe = Type.Object({
  v: version,
  /** Docker's NetworkID on the host that made it first: tells it from a later one of the same name. */
  id: text,
  /** That host, as long as it has it. */
  host: Type.Optional(text),
  /** The network's name in Docker. */
  name: text,
  /** Key of the weft network that it is. */
  network: text,
  driver: text,
  internal: Type.Boolean(),
  attachable: Type.Boolean(),
  ipv4: Type.Boolean(),
  ipv6: Type.Boolean(),
  options: texts,
  labels: texts,
  ipam: Type.Object({
    driver: text,
    options: texts,
    subnets: Type.Array(
      Type.Object({
        subnet: text,
        range: Type.Optional(text),
        gateway: Type.Optional(text),
        /** Addresses set aside, by the name that the user gave each. */
        reserved: Type.Optional(texts),
      }),
    ),
  }),
  /** Hosts that removed it while others used it: they are left without. */
  without: Type.Array(text),
  /** Of the store, when the network was first offered; in a later one others may still come to offer it again. */
  epoch: Type.Optional(text),
});
export type Recipe = Static<typeof Recipe>;

function record<S extends TSchema>(name: string, schema: S) {
  const checker = Compile(schema);
  /** What was just written, or heard of, is read by several, one after the other; that costs more than all they do with it. */
  let last: { readonly json: string; readonly value: Static<S> } | undefined;

  function parse(json: string): Static<S> {
    if (last?.json !== json) last = { json, value: checked(valueIn(json)) };
    return last.value;
  }

  function valueIn(json: string): unknown {
    try {
      return JSON.parse(json);
    } catch (cause) {
      throw new WeftError('invalid', `a ${name} record is not JSON`, { cause });
    }
  }

  function checked(value: unknown): Static<S> {
    if (checker.Check(value)) return value;
    const [problem] = checker.Errors(value);
    const where = problem === undefined ? '' : ` at "${problem.instancePath}": ${problem.message}`;
    throw new WeftError('invalid', `a ${name} record is damaged or of another version${where}`);
  }
  return {
    /** @throws WeftError `invalid`, naming the kind of record and what is wrong with it. */
    parse,
    /** Undefined when there is none, or none that can be used: for what goes on without it. */
    read(json: string | undefined): Static<S> | undefined {
      try {
        return json === undefined ? undefined : parse(json);
      } catch (error) {
        if (error instanceof WeftError && error.code === 'invalid') return undefined;
        throw error;
      }
    },
    /** @throws as `parse`: what nobody could read is not to be written. */
    render(value: Static<S>): string {
      const json = JSON.stringify(checked(value));
      last = { json, value };
      return json;
    },
  };
}

export const records = {
  host: record('host', Host),
  config: record('config', Config),
  network: record('network', Network),
  participant: record('participant', Participant),
  pool: record('pool', Pool),
  poolReference: record('pool reference', PoolReference),
  block: record('block', Block),
  endpoint: record('endpoint', Endpoint),
  recipe: record('recipe', Recipe),
  names: record('names', Names),
};
