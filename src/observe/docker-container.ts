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
