/** Docker's NetworkDriver methods (moby libnetwork/drivers/remote): read, passed on, answered in its words. */
import type { Static } from 'typebox';
import type {
  Attachment,
  CreateEndpoint,
  CreateNetwork,
  EndpointKey,
  NetworkCalls,
  PortMapping,
} from '../agent/calls.ts';
import type { Answer } from './call.ts';
import { answers, type Methods, takes } from './method.ts';
import * as schema from './schema.ts';

/** Where Docker keeps networks: on the host that made them, or in swarm. */
export type Scope = 'local' | 'global';

/** @param onSwarm called with each host that swarm tells of; with this one, when it is in a swarm */
export function networkDriver(network: NetworkCalls, scope: Scope, onSwarm: () => void): Methods {
  return {
    // weft connects hosts whatever the scope. Said so, swarm's hosts tell each other the names of the
    // containers on a swarm-scoped network; for other networks it changes nothing (libnetwork/agent.go).
    'NetworkDriver.GetCapabilities': answers({
      Scope: scope,
      ConnectivityScope: 'global',
      GwAllocChecker: true,
    }),

    // Asked before pools and addresses are, by Docker 28 and newer.
    'NetworkDriver.GwAllocCheck': takes(schema.GwAllocCheck, ({ Options }) => ({
      subject: {},
      run: async () => {
        const skip = !(await network.needsGateway(Options?.['com.docker.network.generic'] ?? {}));
        return { SkipIPv4: skip, SkipIPv6: skip };
      },
    })),

    // Asked on a swarm manager: the answer becomes the options (`-o`) that the hosts see.
    'NetworkDriver.AllocateNetwork': takes(schema.AllocateNetwork, ({ NetworkID, Options }) => ({
      subject: { network: NetworkID },
      run: async () => ({ Options: Options ?? {} }),
    })),

    'NetworkDriver.FreeNetwork': takes(schema.Network, ({ NetworkID }) => ({
      subject: { network: NetworkID },
      run: async () => ({}),
    })),

    'NetworkDriver.CreateNetwork': takes(schema.CreateNetwork, (body) => {
      const request = readNetwork(body);
      return {
        subject: { network: request.id },
        make: async () => {
          await network.createNetwork(request);
          return { answer: {}, takeBack: () => network.deleteNetwork(request.id) };
        },
      };
    }),

    'NetworkDriver.DeleteNetwork': takes(schema.Network, ({ NetworkID }) => ({
      subject: { network: NetworkID },
      run: () => network.deleteNetwork(NetworkID).then(nothing),
    })),

    'NetworkDriver.CreateEndpoint': takes(schema.CreateEndpoint, (body) => {
      const key = readKey(body);
      const request = readEndpoint(body);
      return {
        subject: key,
        make: async () => {
          const { mac } = await network.createEndpoint(request);
          // Docker refuses an answer with a field that it had filled in itself.
          const made = request.mac === undefined && mac !== undefined ? { MacAddress: mac } : {};
          return { answer: { Interface: made }, takeBack: () => network.deleteEndpoint(key) };
        },
      };
    }),

    'NetworkDriver.EndpointOperInfo': aboutEndpoint(async (key) => ({
      Value: await network.endpointInfo(key),
    })),

    'NetworkDriver.DeleteEndpoint': aboutEndpoint((key) => network.deleteEndpoint(key).then(nothing)),

    // Nothing to take back when it is late: Docker deletes the endpoint of a Join that failed.
    'NetworkDriver.Join': takes(schema.Join, (body) => {
      const key = readKey(body);
      return {
        subject: key,
        run: async () => renderAttachment(await network.join({ ...key, sandbox: body.SandboxKey })),
      };
    }),

    'NetworkDriver.Leave': aboutEndpoint((key) => network.leave(key).then(nothing)),

    // Sent when weft answered a gateway; Docker publishes ports by itself when it did not.
    'NetworkDriver.ProgramExternalConnectivity': takes(schema.ProgramExternalConnectivity, (body) => {
      const key = readKey(body);
      return {
        subject: key,
        make: async () => {
          await network.publish(key, readPorts(body));
          return { answer: {}, takeBack: () => network.unpublish(key) };
        },
      };
    }),
    'NetworkDriver.RevokeExternalConnectivity': aboutEndpoint((key) => network.unpublish(key).then(nothing)),

    // Swarm's news of hosts; weft's come from its store.
    'NetworkDriver.DiscoverNew': takes(schema.Discovery, () => ({
      subject: {},
      run: async () => {
        onSwarm();
        return {};
      },
    })),
    'NetworkDriver.DiscoverDelete': takes(schema.Discovery, () => ({ subject: {}, run: async () => ({}) })),
  };
}

const nothing = (): Answer => ({});

function aboutEndpoint(run: (key: EndpointKey) => Promise<Answer>) {
  return takes(schema.Endpoint, (body) => {
    const key = readKey(body);
    return { subject: key, run: () => run(key) };
  });
}

function readKey({ NetworkID, EndpointID }: Static<typeof schema.Endpoint>): EndpointKey {
  return { network: NetworkID, endpoint: EndpointID };
}

/** The families are those of the pools: Docker's enable_ipv4 and enable_ipv6 add nothing to them. */
function readNetwork({
  NetworkID,
  Options,
  IPv4Data,
  IPv6Data,
}: Static<typeof schema.CreateNetwork>): CreateNetwork {
  return {
    id: NetworkID,
    options: Options?.['com.docker.network.generic'] ?? {},
    internal: Options?.['com.docker.network.internal'] ?? false,
    pools: [...(IPv4Data ?? []), ...(IPv6Data ?? [])].map(({ Pool, Gateway }) =>
      Gateway ? { cidr: Pool, gateway: Gateway } : { cidr: Pool },
    ),
  };
}

function readEndpoint(body: Static<typeof schema.CreateEndpoint>): CreateEndpoint {
  const { Address, AddressIPv6, MacAddress } = body.Interface ?? {};
  return {
    ...readKey(body),
    addresses: [Address, AddressIPv6].flatMap((address) => address || []),
    ...(MacAddress && { mac: MacAddress.toLowerCase() }),
  };
}

function readPorts({ Options }: Static<typeof schema.ProgramExternalConnectivity>): PortMapping[] {
  const ports = Options?.['com.docker.network.portmap'] ?? [];
  return ports.map(({ Proto, Port, HostIP, HostPort = 0, HostPortEnd = 0 }) => ({
    protocol: Proto,
    port: Port,
    ...(HostIP && { hostAddress: HostIP }),
    hostPort: HostPort,
    hostPortEnd: Math.max(HostPort, HostPortEnd),
  }));
}

function renderAttachment({ link, prefix, gateways, routes }: Attachment): Answer {
  const gateway = gateways.find((address) => !address.includes(':'));
  const gatewayIPv6 = gateways.find((address) => address.includes(':'));
  return {
    InterfaceName: { SrcName: link, DstPrefix: prefix },
    ...(gateway && { Gateway: gateway }),
    ...(gatewayIPv6 && { GatewayIPv6: gatewayIPv6 }),
    StaticRoutes: routes.map(({ destination, via }) =>
      via === undefined
        ? { Destination: destination, RouteType: onLink }
        : { Destination: destination, RouteType: nextHop, NextHop: via },
    ),
  };
}

/** moby libnetwork/types: NEXTHOP and CONNECTED. */
const nextHop = 0;
const onLink = 1;
