/** One acceptable body for each method with arguments. */
export const network = '0f'.repeat(32);
export const endpoint = 'e1'.repeat(32);
const pools = { IPv4Data: [{ AddressSpace: 'weft-local', Pool: '10.88.0.0/24', Gateway: '10.88.0.1/24' }] };

export const withArguments = {
  'NetworkDriver.AllocateNetwork': { NetworkID: network },
  'NetworkDriver.FreeNetwork': { NetworkID: network },
  'NetworkDriver.CreateNetwork': { NetworkID: network, ...pools },
  'NetworkDriver.DeleteNetwork': { NetworkID: network },
  'NetworkDriver.CreateEndpoint': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.EndpointOperInfo': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.DeleteEndpoint': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.Join': { NetworkID: network, EndpointID: endpoint, SandboxKey: '/var/run/docker/netns/1' },
  'NetworkDriver.Leave': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.ProgramExternalConnectivity': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.RevokeExternalConnectivity': { NetworkID: network, EndpointID: endpoint },
  'NetworkDriver.DiscoverNew': { DiscoveryType: 1 },
  'NetworkDriver.DiscoverDelete': { DiscoveryType: 1 },
  'IpamDriver.RequestPool': { Pool: '10.88.0.0/24' },
  'IpamDriver.ReleasePool': { PoolID: '1@10.88.0.0/24' },
  'IpamDriver.RequestAddress': { PoolID: '1@10.88.0.0/24' },
  'IpamDriver.ReleaseAddress': { PoolID: '1@10.88.0.0/24', Address: '10.88.0.2' },
};
