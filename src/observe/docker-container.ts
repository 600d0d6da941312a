/** A container as Docker's API tells of it, as far as its names go. */
import Type, { type Static } from 'typebox';

export interface DockerContainer {
  readonly endpoints: readonly {
    readonly endpoint: string;
    /** The network's name. */
    readonly network: string;
    /** What it is called there; the container's own name comes first. */
    readonly names: readonly string[];
  }[];
}

/** A running container's place on a network. */
export interface DockerAttachment {
  /** Its name. */
  readonly container: string;
  /** NetworkID */
  readonly network: string;
  readonly endpoint: string;
  /** Without prefix length. */
  readonly addresses: readonly string[];
}

const texts = Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()]));

/** `GET /containers/{id}/json` */
export const InspectedContainer = Type.Object({
  Id: Type.String(),
  Name: Type.String(),
  NetworkSettings: Type.Object({
    Networks: Type.Record(
      Type.String(),
      Type.Object({
        EndpointID: Type.String(),
        Aliases: texts,
        /** All of them; from Docker 25 on. */
        DNSNames: texts,
      }),
    ),
  }),
});

export function readContainer({
  Id,
  Name,
  NetworkSettings,
}: Static<typeof InspectedContainer>): DockerContainer {
  return {
    endpoints: Object.entries(NetworkSettings.Networks).map(
      ([network, { EndpointID, Aliases, DNSNames }]) => {
        const names = [Name.replace(/^\//, ''), ...(DNSNames ?? [...(Aliases ?? []), Id.slice(0, 12)])];
        return { endpoint: EndpointID, network, names: [...new Set(names)] };
      },
    ),
  };
}

/** `GET /containers/json` */
export const ContainerList = Type.Array(
  Type.Object({
    Names: Type.Array(Type.String()),
    NetworkSettings: Type.Object({
      Networks: Type.Record(
        Type.String(),
        Type.Object({
          NetworkID: Type.String(),
          EndpointID: Type.String(),
          IPAddress: Type.Optional(Type.String()),
          GlobalIPv6Address: Type.Optional(Type.String()),
        }),
      ),
    }),
  }),
);

/** One that is just being attached has no endpoint yet. */
export function readAttachments(listed: Static<typeof ContainerList>): DockerAttachment[] {
  return listed.flatMap(({ Names: [name = ''], NetworkSettings }) =>
    Object.values(NetworkSettings.Networks)
      .filter(({ EndpointID }) => EndpointID !== '')
      .map(({ NetworkID, EndpointID, IPAddress, GlobalIPv6Address }) => ({
        container: name.replace(/^\//, ''),
        network: NetworkID,
        endpoint: EndpointID,
        addresses: [IPAddress, GlobalIPv6Address].flatMap((address) => address || []),
      })),
  );
}
