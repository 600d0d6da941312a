/**
 * The bodies that Docker sends, as far as weft reads them; what else is in them is ignored. Go writes an
 * unset map, list or pointer as null and an unset text as "".
 */
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Refusal } from './refusal.ts';

const orNull = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));

const mac = Type.String({ pattern: '^$|^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$' });

/** Docker's own IDs: 64 hex digits, or 25 letters and digits from swarm. They end up in file names. */
const id = Type.String({ pattern: '^[0-9A-Za-z_-]{1,128}$' });
/** weft's own are shorter. They end up in file names, percent-encoded. */
const poolId = Type.String({ pattern: '^[!-~]{1,80}$' });
/** Of an address or a subnet: what it is worth is found out later, and then told to the user. */
const address = Type.String({ pattern: '^[!-~]{0,64}$' });
const texts = orNull(Type.Record(Type.String(), Type.String()));
const flag = orNull(Type.Boolean());

const Pools = orNull(Type.Array(Type.Object({ Pool: address, Gateway: orNull(address) })));

export const Endpoint = Type.Object({ NetworkID: id, EndpointID: id });

export const Network = Type.Object({ NetworkID: id });

export const AllocateNetwork = Type.Object({ NetworkID: id, Options: texts });

const NetworkOptions = orNull(
  Type.Object({
    /** Every `-o`. */
    'com.docker.network.generic': texts,
    /** Absent means false. */
    'com.docker.network.internal': flag,
  }),
);

export const GwAllocCheck = Type.Object({ Options: NetworkOptions });

export const CreateNetwork = Type.Object({
  NetworkID: id,
  Options: NetworkOptions,
  IPv4Data: Pools,
  IPv6Data: Pools,
});

export const CreateEndpoint = Type.Object({
  NetworkID: id,
  EndpointID: id,
  Interface: orNull(
    Type.Object({ Address: orNull(address), AddressIPv6: orNull(address), MacAddress: orNull(mac) }),
  ),
});

export const Join = Type.Object({
  NetworkID: id,
  EndpointID: id,
  SandboxKey: Type.String({ minLength: 1, maxLength: 4_096 }),
});

const port = Type.Integer({ minimum: 0, maximum: 65535 });

export const ProgramExternalConnectivity = Type.Object({
  NetworkID: id,
  EndpointID: id,
  Options: orNull(
    Type.Object({
      /** Every `-p`. HostPort 0: choose one. Up to HostPortEnd, any will do. */
      'com.docker.network.portmap': orNull(
        Type.Array(
          Type.Object({
            Proto: Type.Integer({ minimum: 0, maximum: 255 }),
            Port: port,
            HostIP: orNull(address),
            HostPort: Type.Optional(port),
            HostPortEnd: Type.Optional(port),
          }),
        ),
      ),
    }),
  ),
});

export const Discovery = Type.Object({});

export const RequestPool = Type.Object({
  AddressSpace: orNull(Type.String()),
  Pool: orNull(address),
  SubPool: orNull(address),
  Options: texts,
  V6: flag,
});

export const ReleasePool = Type.Object({ PoolID: poolId });

export const RequestAddress = Type.Object({
  PoolID: poolId,
  Address: orNull(address),
  Options: orNull(
    Type.Object({
      RequestAddressType: orNull(Type.String()),
      /** "true" from swarm's manager, for tasks and virtual addresses of services. */
      'com.docker.network.ipam.serial': orNull(Type.String()),
      /** Of the container: the user's, or one that Docker has made up. Sent only when it was asked to. */
      'com.docker.network.endpoint.macaddress': orNull(mac),
    }),
  ),
});

export const ReleaseAddress = Type.Object({ PoolID: poolId, Address: address });

/** Reads one method's bodies. Bodies are never quoted in an error: options may hold secrets. */
export function parser<S extends TSchema>(method: string, schema: S): (body: string) => Static<S> {
  const checker = Compile(schema);
  return (body) => {
    // Docker repeats a call that broke off with an empty body: its buffer was used up by the first attempt
    // (moby pkg/plugins/client.go). Taken for a request without settings, it would create something.
    if (body === '') {
      throw new Refusal(
        400,
        `${method} came with an empty body, as when Docker repeats a call that broke off: run the docker command again`,
      );
    }
    const value = parseJson(method, body);
    if (checker.Check(value)) return value;
    const [problem] = checker.Errors(value);
    const where = problem?.instancePath ? ` in ${problem.instancePath.slice(1).replaceAll('/', '.')}` : '';
    throw new Refusal(400, `${method} was not understood: ${problem?.message}${where}`);
  };
}

function parseJson(method: string, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    const size = Buffer.byteLength(body);
    throw new Refusal(400, `${method} was not understood: its body of ${size} bytes is not JSON`);
  }
}
