/**
 * The agent's calls before there is an agent: each waits for it to start, or fails with the reason why it
 * cannot. So Docker finds weft listening at once, and hears from it what is wrong, whatever that is: a
 * plugin that does not listen is disabled by Docker, and stays so.
 */
import type { Agent } from './agent.ts';
import type { AddressCalls, NetworkCalls } from './calls.ts';

export function deferredCalls(agent: Promise<Pick<Agent, 'network' | 'addresses'>>): {
  readonly network: NetworkCalls;
  readonly addresses: AddressCalls;
} {
  const network = async () => (await agent).network;
  const addresses = async () => (await agent).addresses;
  return {
    network: {
      needsGateway: async (options) => (await network()).needsGateway(options),
      createNetwork: async (request) => (await network()).createNetwork(request),
      deleteNetwork: async (id) => (await network()).deleteNetwork(id),
      createEndpoint: async (request) => (await network()).createEndpoint(request),
      endpointInfo: async (key) => (await network()).endpointInfo(key),
      deleteEndpoint: async (key) => (await network()).deleteEndpoint(key),
      join: async (request) => (await network()).join(request),
      publish: async (key, ports) => (await network()).publish(key, ports),
      unpublish: async (key) => (await network()).unpublish(key),
      leave: async (key) => (await network()).leave(key),
    },
    addresses: {
      requestPool: async (request) => (await addresses()).requestPool(request),
      releasePool: async (poolId) => (await addresses()).releasePool(poolId),
      requestAddress: async (request) => (await addresses()).requestAddress(request),
      releaseAddress: async (poolId, address) => (await addresses()).releaseAddress(poolId, address),
    },
  };
}
