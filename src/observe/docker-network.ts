/** A network as Docker's API tells of it, and as it wants to be told of one. */
import { isDeepStrictEqual } from 'node:util';
import Type, { type Static } from 'typebox';
import type { Recipe } from '../model/records.ts';

/** What of it is the same on every host. */
export type DockerNetwork = Omit<Recipe, 'v' | 'host' | 'network' | 'without' | 'epoch'>;

const orNull = <S extends Type.TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));
const text = Type.String();
const texts = orNull(Type.Record(Type.String(), Type.String()));

const Subnet = Type.Object({
  Subnet: Type.Optional(text),
  IPRange: Type.Optional(text),
  Gateway: Type.Optional(text),
  AuxiliaryAddresses: texts,
});

/** `GET /networks` */
export const NetworkList = Type.Array(
  Type.Object({
    Id: text,
    Name: text,
    Driver: text,
    Scope: text,
    Internal: Type.Boolean(),
    Attachable: Type.Boolean(),
    /** From Docker 28.0 on; before, there is IPv4 always. */
    EnableIPv4: Type.Optional(Type.Boolean()),
    EnableIPv6: Type.Boolean(),
    ConfigOnly: Type.Boolean(),
    Options: texts,
    Labels: texts,
    IPAM: Type.Object({ Driver: text, Options: texts, Config: orNull(Type.Array(Subnet)) }),
  }),
);

type Listed = Static<typeof NetworkList>[number];

/** Swarm replicates its own, and a network that is a configuration for others is none. */
export function isOfOneHost({ Scope, ConfigOnly }: Listed): boolean {
  return Scope === 'local' && !ConfigOnly;
}

export function readNetwork(listed: Listed): DockerNetwork {
  return {
    id: listed.Id,
    name: listed.Name,
    driver: listed.Driver,
    internal: listed.Internal,
    attachable: listed.Attachable,
    ipv4: listed.EnableIPv4 ?? true,
    ipv6: listed.EnableIPv6,
    options: listed.Options ?? {},
    labels: listed.Labels ?? {},
    ipam: {
      driver: listed.IPAM.Driver,
      options: listed.IPAM.Options ?? {},
      subnets: (listed.IPAM.Config ?? []).flatMap(readSubnet),
    },
  };
}

function readSubnet({
  Subnet: subnet,
  IPRange: range,
  Gateway,
  AuxiliaryAddresses: reserved,
}: Static<typeof Subnet>) {
  if (!subnet) return [];
  // Docker 20.10 adds the prefix length to an IPv6 gateway, and takes none.
  const gateway = Gateway?.replace(/\/\d+$/, '');
  const hasReserved = Object.keys(reserved ?? {}).length > 0;
  return [
    {
      subnet,
      ...(range && { range }),
      ...(gateway && { gateway }),
      ...(reserved && hasReserved && { reserved }),
    },
  ];
}

/** The body of `POST /networks/create`. */
export function renderNetwork(network: DockerNetwork): object {
  return {
    Name: network.name,
    // What Docker before 25 leaves to the caller to ask for; later ones know no other way.
    CheckDuplicate: true,
    Driver: network.driver,
    Internal: network.internal,
    Attachable: network.attachable,
    EnableIPv6: network.ipv6,
    ...(network.ipv4 ? {} : { EnableIPv4: false }),
    Options: network.options,
    Labels: network.labels,
    IPAM: {
      Driver: network.ipam.driver,
      Options: network.ipam.options,
      Config: network.ipam.subnets.map(({ subnet, range, gateway, reserved }) => ({
        Subnet: subnet,
        ...(range && { IPRange: range }),
        ...(gateway && { Gateway: gateway }),
        ...(reserved && { AuxiliaryAddresses: reserved }),
      })),
    },
  };
}

/** Whether the same was asked for, whatever subnets came of it, and by whichever project and version of Compose. */
export function isAlike(one: DockerNetwork, other: DockerNetwork): boolean {
  return isDeepStrictEqual(asked(one), asked(other));
}

function asked({ driver, internal, attachable, ipv4, ipv6, options, labels, ipam }: DockerNetwork) {
  const own = Object.entries(labels).filter(([name]) => !name.startsWith('com.docker.compose.'));
  return {
    ...{ driver, internal, attachable, ipv4, ipv6, options },
    ...{ labels: Object.fromEntries(own), ipam: [ipam.driver, ipam.options] },
  };
}
