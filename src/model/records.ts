/**
 * The records that hosts share through the store: one JSON text each, with a version. A record that is
 * damaged or newer than this weft is refused here, by name, and the caller goes on without it.
 */
import Type, { type Static } from 'typebox';
import { Block, Claim } from './block-record.ts';
import { address, cidr, mac, text, version } from './fields.ts';
import { record } from './record.ts';

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

export const records = {
  host: record('host', Host),
  config: record('config', Config),
  network: record('network', Network),
  participant: record('participant', Participant),
  pool: record('pool', Pool),
  poolReference: record('pool reference', PoolReference),
  block: record('block', Block),
  claim: record('claim', Claim),
  endpoint: record('endpoint', Endpoint),
  recipe: record('recipe', Recipe),
  names: record('names', Names),
};
