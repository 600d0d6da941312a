import { describe, expect, test } from 'vitest';
import { serve } from './cnm-server.ts';
import { hostHeaders } from './docker-client.ts';

const network = '7c9a1f'.padEnd(64, '0');
const endpoint = 'd00d5e'.padEnd(64, '1');
const key = { NetworkID: network, EndpointID: endpoint };

/** What `docker network create -o weft.network=blue` and a `docker run -p 8080:80` on it send, by version. */
const dialects = {
  '20.10': {
    host: hostHeaders['20.10'],
    network: {
      NetworkID: network,
      Options: {
        'com.docker.network.enable_ipv6': false,
        'com.docker.network.generic': { 'weft.network': 'blue' },
      },
      IPv4Data: [{ AddressSpace: 'weft-local', Pool: '10.88.0.0/24', Gateway: '10.88.0.1/24' }],
      IPv6Data: null,
    },
  },
  '26': {
    host: hostHeaders['26'],
    network: {
      NetworkID: network,
      Options: {
        'com.docker.network.enable_ipv6': false,
        'com.docker.network.generic': { 'weft.network': 'blue' },
        'com.docker.network.internal': false,
      },
      IPv4Data: [{ AddressSpace: 'weft-local', Pool: '10.88.0.0/24', Gateway: '10.88.0.1/24' }],
      IPv6Data: [],
    },
  },
  '28': {
    host: hostHeaders['28'],
    network: {
      NetworkID: network,
      Options: {
        'com.docker.network.enable_ipv4': true,
        'com.docker.network.enable_ipv6': false,
        'com.docker.network.generic': { 'weft.network': 'blue' },
      },
      IPv4Data: [{ AddressSpace: 'weft-local', Pool: '10.88.0.0/24', Gateway: '10.88.0.1/24' }],
      IPv6Data: [],
    },
  },
};

const createEndpoint = {
  ...key,
  Interface: { Address: '10.88.0.2/24', AddressIPv6: '', MacAddress: '' },
  Options: {
    'com.docker.network.endpoint.exposedports': [{ Proto: 6, Port: 80 }],
    'com.docker.network.portmap': [
      { Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080 },
    ],
  },
};
const join = { ...key, SandboxKey: '/var/run/docker/netns/4f1c', Options: createEndpoint.Options };

describe.each(Object.entries(dialects))('Docker %s', (_version, dialect) => {
  test('creates a network, starts a container on it, stops it and removes the network', async () => {
    const { docker, calls } = await serve({ host: dialect.host });
    expect((await docker.call('NetworkDriver.CreateNetwork', dialect.network)).body).toEqual({});
    expect(calls.networks.get(network)).toEqual({
      id: network,
      options: { 'weft.network': 'blue' },
      internal: false,
      pools: [{ cidr: '10.88.0.0/24', gateway: '10.88.0.1/24' }],
    });

    const created = await docker.call('NetworkDriver.CreateEndpoint', createEndpoint);
    expect(created.body).toEqual({ Interface: { MacAddress: '02:77:00:00:00:01' } });
    expect(calls.endpoints.get(endpoint)).toEqual({ network, endpoint, addresses: ['10.88.0.2/24'] });

    expect((await docker.call('NetworkDriver.Join', join)).body).toEqual({
      InterfaceName: { SrcName: 'weftd00d5e1', DstPrefix: 'eth' },
      StaticRoutes: [
        { Destination: '169.254.1.1/32', RouteType: 1 },
        { Destination: '10.88.0.0/24', RouteType: 0, NextHop: '169.254.1.1' },
      ],
    });
    expect(calls.endpoints.get(endpoint)?.sandbox).toBe('/var/run/docker/netns/4f1c');

    const info = await docker.call('NetworkDriver.EndpointOperInfo', key);
    expect(info.body).toEqual({ Value: { addresses: '10.88.0.2/24' } });

    expect((await docker.call('NetworkDriver.Leave', key)).body).toEqual({});
    expect(calls.endpoints.get(endpoint)).not.toHaveProperty('sandbox');
    expect((await docker.call('NetworkDriver.DeleteEndpoint', key)).body).toEqual({});
    expect((await docker.call('NetworkDriver.DeleteNetwork', { NetworkID: network })).body).toEqual({});
    expect(calls.networks.size + calls.endpoints.size).toBe(0);
  });
});

test.each(['local', 'global'] as const)('tells its scope: %s', async (scope) => {
  const { docker } = await serve({ scope });
  const { body } = await docker.call('NetworkDriver.GetCapabilities');
  expect(body).toEqual({ Scope: scope, ConnectivityScope: 'global', GwAllocChecker: true });
});

test.each([
  ['needs', 'on', false],
  ['does not need', 'off', true],
])('tells Docker 28 that a network %s addresses for gateways', async (_, gateway, skip) => {
  const { docker } = await serve();
  const { body } = await docker.call('NetworkDriver.GwAllocCheck', {
    Options: {
      'com.docker.network.enable_ipv4': true,
      'com.docker.network.generic': { 'weft.gateway': gateway },
    },
  });
  expect(body).toEqual({ SkipIPv4: skip, SkipIPv6: skip });
});

test('a network may be internal, of several pools and families, and without gateways', async () => {
  const { docker, calls } = await serve();
  await docker.call('NetworkDriver.CreateNetwork', {
    NetworkID: 'wl5zbzxgqlm0yqk0fwrd3bynu',
    Options: { 'com.docker.network.internal': true, 'com.docker.network.enable_ipv6': true },
    IPv4Data: [
      { AddressSpace: '', Pool: '10.88.0.0/24', AuxAddresses: { router: '10.88.0.9/24' } },
      { AddressSpace: '', Pool: '10.89.0.0/24', Gateway: '10.89.0.1/24' },
    ],
    IPv6Data: [{ AddressSpace: '', Pool: 'fd00:88::/64', Gateway: 'fd00:88::1/64' }],
  });
  expect(calls.networks.get('wl5zbzxgqlm0yqk0fwrd3bynu')).toEqual({
    id: 'wl5zbzxgqlm0yqk0fwrd3bynu',
    options: {},
    internal: true,
    pools: [
      { cidr: '10.88.0.0/24' },
      { cidr: '10.89.0.0/24', gateway: '10.89.0.1/24' },
      { cidr: 'fd00:88::/64', gateway: 'fd00:88::1/64' },
    ],
  });
});

test('swarm gets back the options that it sent, so that the hosts see them', async () => {
  const { docker, calls } = await serve({ scope: 'global' });
  const Options = { 'weft.network': 'blue', 'weft.mtu': '1400' };
  const allocate = { NetworkID: network, Options, IPv4Data: [{ AddressSpace: '', Pool: '10.88.0.0/24' }] };
  expect((await docker.call('NetworkDriver.AllocateNetwork', allocate)).body).toEqual({ Options });
  const bare = { NetworkID: network, Options: null, IPv4Data: null, IPv6Data: null };
  expect((await docker.call('NetworkDriver.AllocateNetwork', bare)).body).toEqual({ Options: {} });
  expect((await docker.call('NetworkDriver.FreeNetwork', { NetworkID: network })).body).toEqual({});
  expect(calls.made).toEqual([]);
});

describe('an endpoint', () => {
  test('with a MAC of the user’s is answered no field that Docker had filled in', async () => {
    const { docker, calls } = await serve();
    await docker.call('NetworkDriver.CreateNetwork', dialects['28'].network);
    // Even when the use case is talkative.
    calls.createEndpoint = async () => ({ mac: '02:77:00:00:00:01' });
    const reply = await docker.call('NetworkDriver.CreateEndpoint', {
      ...key,
      Interface: { Address: '10.88.0.2/24', AddressIPv6: 'fd00:88::2/64', MacAddress: '02:42:ac:11:00:02' },
      Options: { 'com.docker.network.endpoint.macaddress': 'AkKsEQAC' },
    });
    expect(reply.body).toEqual({ Interface: {} });
  });

  test('has its addresses in both families, and the MAC, passed on', async () => {
    const { docker, calls } = await serve();
    await docker.call('NetworkDriver.CreateNetwork', dialects['28'].network);
    await docker.call('NetworkDriver.CreateEndpoint', {
      ...key,
      Interface: { Address: '10.88.0.2/24', AddressIPv6: 'fd00:88::2/64', MacAddress: '02:42:ac:11:00:02' },
    });
    expect(calls.endpoints.get(endpoint)).toEqual({
      network,
      endpoint,
      addresses: ['10.88.0.2/24', 'fd00:88::2/64'],
      mac: '02:42:ac:11:00:02',
    });
  });

  test('that is unknown is an error to join and inspect, and nothing to leave and delete', async () => {
    const { docker } = await serve();
    for (const [method, body] of [
      ['NetworkDriver.Join', join],
      ['NetworkDriver.EndpointOperInfo', key],
    ] as const) {
      const reply = await docker.call(method, body);
      expect(reply.status).toBe(200);
      expect(reply.body.Err).toContain('does not exist');
    }
    expect((await docker.call('NetworkDriver.Leave', key)).body).toEqual({});
    expect((await docker.call('NetworkDriver.DeleteEndpoint', key)).body).toEqual({});
    expect((await docker.call('NetworkDriver.DeleteNetwork', { NetworkID: network })).body).toEqual({});
  });

  test('is answered its gateways by family', async () => {
    const { docker, calls } = await serve();
    await docker.call('NetworkDriver.CreateNetwork', dialects['28'].network);
    await docker.call('NetworkDriver.CreateEndpoint', createEndpoint);
    calls.attachment = { prefix: 'net', gateways: ['fe80::1', '169.254.1.1'], routes: [] };
    const expected = {
      InterfaceName: { SrcName: 'weftd00d5e1', DstPrefix: 'net' },
      StaticRoutes: [],
    };
    const both = await docker.call('NetworkDriver.Join', join);
    expect(both.body).toEqual({ ...expected, Gateway: '169.254.1.1', GatewayIPv6: 'fe80::1' });
    calls.attachment = { prefix: 'net', gateways: ['fe80::1'], routes: [] };
    const one = await docker.call('NetworkDriver.Join', join);
    expect(one.body).toEqual({ ...expected, GatewayIPv6: 'fe80::1' });
  });
});

test('port mappings are passed on, and taken back', async () => {
  const { docker, calls } = await serve();
  const Options = {
    'com.docker.network.endpoint.exposedports': [{ Proto: 6, Port: 80 }],
    'com.docker.network.portmap': [
      { Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080 },
      { Proto: 17, IP: '', Port: 53, HostIP: '127.0.0.1', HostPort: 5300, HostPortEnd: 5310 },
      { Proto: 132, IP: '', Port: 9, HostIP: '', HostPort: 0, HostPortEnd: 0 },
    ],
    'com.docker.network.driver.private.no_proxy_6to4': true,
  };
  const reply = await docker.call('NetworkDriver.ProgramExternalConnectivity', { ...key, Options });
  expect(reply.body).toEqual({});
  expect(calls.published.get(endpoint)).toEqual([
    { protocol: 6, port: 80, hostPort: 8080, hostPortEnd: 8080 },
    { protocol: 17, port: 53, hostAddress: '127.0.0.1', hostPort: 5300, hostPortEnd: 5310 },
    { protocol: 132, port: 9, hostPort: 0, hostPortEnd: 0 },
  ]);
  expect((await docker.call('NetworkDriver.RevokeExternalConnectivity', key)).body).toEqual({});
  expect(calls.published.size).toBe(0);
  await docker.call('NetworkDriver.ProgramExternalConnectivity', { ...key, Options: null });
  expect(calls.published.get(endpoint)).toEqual([]);
});

test('swarm’s news of hosts are accepted; the first is a reason to tell by which names it takes weft', async () => {
  const { docker, calls, lines } = await serve();
  const news = { DiscoveryType: 1, DiscoveryData: { Address: '192.0.2.1', BindAddress: '', Self: true } };
  for (const method of ['DiscoverNew', 'DiscoverNew', 'DiscoverDelete']) {
    expect(await docker.call(`NetworkDriver.${method}`, news)).toMatchObject({ status: 200, body: {} });
  }
  expect(calls.made).toEqual([]);
  const told = lines.filter(({ level }) => level === 'info').map(({ message }) => message);
  expect(told).toEqual([expect.stringContaining('swarm refuses weft and weft-ipam as legacy plugins')]);
});
