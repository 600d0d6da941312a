/**
 * What may come down Docker's sockets: bodies as dockerd 20.10 to 28.5 sends them, such bodies spoiled, and
 * plain nonsense. Names are drawn from so few that calls meet each other's networks, endpoints and addresses.
 */
import fc, { type Arbitrary } from 'fast-check';

export interface Request {
  readonly method: string;
  readonly body: string;
}

/** In a body, stands for the PoolID that weft answered last. */
export const grantedPool = 'GRANTED-POOL';

export const networkIds = ['7c9a1f'.padEnd(64, '0'), '0d3bynu'.padEnd(25, 'w')];
export const endpointIds = ['d00d5e'.padEnd(64, '1'), 'feed01'.padEnd(64, '2')];
const subnets = ['10.88.0.0/24', '10.89.0.0/30', 'fd88::/64'];
const addresses = ['10.88.0.2', '10.88.0.77', '10.89.0.2', 'fd88::2'];

const networkId = fc.constantFrom(...networkIds);
const endpointId = fc.constantFrom(...endpointIds);
const poolId = fc.constantFrom(grantedPool, grantedPool, grantedPool, 'f00f@10.88.0.0/24', 'nonsense');
const subnet = fc.constantFrom(...subnets);
const address = fc.constantFrom(...addresses);
const withLength = fc.constantFrom('10.88.0.2/24', '10.88.0.2/32', '10.88.0.77/32', 'fd88::2/128', '');
const key = { NetworkID: networkId, EndpointID: endpointId };

const generic = fc.dictionary(
  fc.constantFrom(
    'weft.network',
    'weft.fabric',
    'weft.vni',
    'weft.mtu',
    'weft.gateway',
    'weft.encap',
    'parent',
  ),
  fc.constantFrom('blue', 'red', 'routed', 'vxlan', '77', '1400', 'on', 'auto'),
  { maxKeys: 3 },
);

const pool = fc.record({
  AddressSpace: fc.constantFrom('weft-local', ''),
  Pool: subnet,
  Gateway: fc.constantFrom('10.88.0.1/24', '10.89.0.1/30', 'fd88::1/64'),
});

const ports = fc.record({
  Proto: fc.constantFrom(6, 17, 132),
  IP: fc.constant(''),
  Port: fc.constantFrom(80, 53),
  HostIP: fc.constantFrom('', '127.0.0.1', '::'),
  HostPort: fc.constantFrom(0, 8080),
  HostPortEnd: fc.constantFrom(0, 8080, 8090),
});

const endpointOptions = fc.record(
  {
    'com.docker.network.endpoint.exposedports': fc.constant([{ Proto: 6, Port: 80 }]),
    'com.docker.network.portmap': fc.array(ports, { maxLength: 2 }),
    'com.docker.network.endpoint.macaddress': fc.constant('AkKsEQAC'),
  },
  { requiredKeys: [] },
);

/** One recorded form a method; those of the versions differ in what is absent, null or empty. */
const recorded: Readonly<Record<string, Arbitrary<unknown>>> = {
  'NetworkDriver.GwAllocCheck': fc.record({
    Options: fc.record({ 'com.docker.network.generic': fc.option(generic) }),
  }),
  'NetworkDriver.AllocateNetwork': fc.record({
    NetworkID: networkId,
    Options: fc.option(generic),
    IPv4Data: fc.option(fc.array(pool, { maxLength: 1 })),
    IPv6Data: fc.constant(null),
  }),
  'NetworkDriver.FreeNetwork': fc.record({ NetworkID: networkId }),
  'NetworkDriver.CreateNetwork': fc.record({
    NetworkID: networkId,
    Options: fc.record(
      {
        'com.docker.network.enable_ipv4': fc.boolean(),
        'com.docker.network.enable_ipv6': fc.boolean(),
        'com.docker.network.internal': fc.boolean(),
        'com.docker.network.generic': fc.option(generic),
      },
      { requiredKeys: [] },
    ),
    IPv4Data: fc.array(pool, { maxLength: 2 }),
    IPv6Data: fc.option(fc.array(pool, { maxLength: 1 })),
  }),
  'NetworkDriver.DeleteNetwork': fc.record({ NetworkID: networkId }),
  'NetworkDriver.CreateEndpoint': fc.record({
    ...key,
    Interface: fc.option(
      fc.record({
        Address: withLength,
        AddressIPv6: withLength,
        MacAddress: fc.constantFrom('', '02:42:ac:11:00:02'),
      }),
    ),
    Options: endpointOptions,
  }),
  'NetworkDriver.EndpointOperInfo': fc.record(key),
  'NetworkDriver.DeleteEndpoint': fc.record(key),
  'NetworkDriver.Join': fc.record({
    ...key,
    SandboxKey: fc.constantFrom('/var/run/docker/netns/4f1c', '/var/run/docker/netns/77aa'),
    Options: endpointOptions,
  }),
  'NetworkDriver.Leave': fc.record(key),
  'NetworkDriver.ProgramExternalConnectivity': fc.record({ ...key, Options: endpointOptions }),
  'NetworkDriver.RevokeExternalConnectivity': fc.record(key),
  'NetworkDriver.DiscoverNew': fc.record({
    DiscoveryType: fc.constant(1),
    DiscoveryData: fc.constant({ Address: '192.0.2.1', BindAddress: '', Self: true }),
  }),
  'NetworkDriver.DiscoverDelete': fc.record({ DiscoveryType: fc.constant(1) }),
  'IpamDriver.RequestPool': fc.record({
    AddressSpace: fc.constant('weft-local'),
    Pool: fc.oneof(subnet, fc.constant('')),
    SubPool: fc.constantFrom('', '', '10.88.0.64/26'),
    Options: fc.option(fc.dictionary(fc.constant('weft.network'), fc.constantFrom('blue', 'red'))),
    V6: fc.boolean(),
  }),
  'IpamDriver.ReleasePool': fc.record({ PoolID: poolId }),
  'IpamDriver.RequestAddress': fc.record({
    PoolID: poolId,
    Address: fc.oneof(address, fc.constant('')),
    Options: fc.option(fc.constant({ RequestAddressType: 'com.docker.network.gateway' })),
  }),
  'IpamDriver.ReleaseAddress': fc.record({ PoolID: poolId, Address: address }),
};

/** What a program of another mind puts in a field. */
const strange = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('../../etc/passwd', '__proto__', 'a\0b', '\ud800', '%2e%2e', 'x'.repeat(5_000), '٣', '1e3'),
  fc.constantFrom('10.88.0.0/33', '10.88.0.5/24', '0.0.0.0/0', '::/0', '256.1.1.1', '10.88', 'fe80::1%eth0'),
  fc.constantFrom('ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01', '02-42-AC-11-00-02', '02:42'),
  fc.ipV4(),
  fc.ipV6(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Follows a path of choices down a value and puts something else where it ends. */
function spoil(
  value: unknown,
  path: readonly number[],
  change: 'replace' | 'drop' | 'wrap',
  by: unknown,
): unknown {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== 'object' || value === null) {
    return change === 'wrap' ? [value] : by;
  }
  const entries = Object.entries(value);
  const chosen = entries[step % Math.max(1, entries.length)]?.[0];
  const isLast = rest.length === 0;
  const changed = entries.flatMap(([name, inner]): [string, unknown][] => {
    if (name !== chosen) return [[name, inner]];
    return isLast && change === 'drop' ? [] : [[name, spoil(inner, rest, change, by)]];
  });
  return Array.isArray(value) ? changed.map(([, inner]) => inner) : Object.fromEntries(changed);
}

function spoiled(of: Arbitrary<unknown>): Arbitrary<string> {
  const path = fc.array(fc.nat(7), { maxLength: 4 });
  const change = fc.constantFrom('replace', 'replace', 'drop', 'wrap');
  return fc.tuple(of, path, change, strange).map(([value, ...how]) => JSON.stringify(spoil(value, ...how)));
}

/** Cut off, with bytes in between, with every key twice, or far too deep. */
function garbled(of: Arbitrary<unknown>): Arbitrary<string> {
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.oneof(
    fc.tuple(of, at).map(([value, share]) => {
      const text = JSON.stringify(value);
      return text.slice(0, Math.floor(text.length * share));
    }),
    fc.tuple(of, at, fc.string({ unit: 'binary', minLength: 1 })).map(([value, share, more]) => {
      const text = JSON.stringify(value);
      const middle = Math.floor(text.length * share);
      return text.slice(0, middle) + more + text.slice(middle);
    }),
    fc.tuple(of, spoiled(of)).map(([one, other]) => {
      const [head, tail] = [JSON.stringify(one).slice(0, -1), other.slice(1)];
      return head === '{' ? `{${tail}` : `${head},${tail}`;
    }),
    fc.tuple(of, fc.nat(2_000)).map(([value, depth]) => {
      return `${JSON.stringify(value).slice(0, -1)},"Options":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    }),
  );
}

const requests: Arbitrary<Request> = fc.constantFrom(...Object.entries(recorded)).chain(([method, form]) => {
  const body = fc.oneof(
    { weight: 6, arbitrary: form.map((value) => JSON.stringify(value)) },
    { weight: 4, arbitrary: spoiled(form) },
    { weight: 2, arbitrary: garbled(form) },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.constantFrom('', ' ', 'null', '{}', '[]', '"', '\ufeff{}') },
  );
  return fc.record({ method: fc.constant(method), body });
});

/** `docker network create` and `docker run -p` as they should be. */
function opening(options: Readonly<Record<string, string>>): Request[] {
  const [NetworkID, EndpointID] = [networkIds[0], endpointIds[0]];
  const key = { NetworkID, EndpointID };
  const portmap = [{ Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080 }];
  const Options = { 'com.docker.network.portmap': portmap };
  const gateway = { RequestAddressType: 'com.docker.network.gateway' };
  const pools = [{ AddressSpace: 'weft-local', Pool: '10.88.0.0/24', Gateway: '10.88.0.1/24' }];
  const Interface = { Address: '10.88.0.2/24', AddressIPv6: '', MacAddress: '' };
  const calls = {
    'IpamDriver.RequestPool': { Pool: '10.88.0.0/24', SubPool: '', Options: {}, V6: false },
    'IpamDriver.RequestAddress': { PoolID: grantedPool, Address: '', Options: gateway },
    'NetworkDriver.CreateNetwork': {
      NetworkID,
      Options: { 'com.docker.network.generic': options },
      IPv4Data: pools,
      IPv6Data: [],
    },
    'IpamDriver.RequestAddress ': { PoolID: grantedPool, Address: '10.88.0.2', Options: null },
    'NetworkDriver.CreateEndpoint': { ...key, Interface, Options },
    'NetworkDriver.Join': { ...key, SandboxKey: '/var/run/docker/netns/4f1c', Options },
    'NetworkDriver.ProgramExternalConnectivity': { ...key, Options },
  };
  return Object.entries(calls).map(([method, body]) => ({
    method: method.trim(),
    body: JSON.stringify(body),
  }));
}

/** Nonsense at any point of a network's and a container's life: none there yet, half made, or running. */
export const sessions: Arbitrary<readonly Request[]> = fc
  .tuple(
    fc
      .constantFrom(
        { 'weft.network': 'blue' },
        { 'weft.network': 'blue', 'weft.gateway': 'on' },
        { 'weft.network': 'blue', 'weft.fabric': 'vxlan' },
        { 'weft.network': 'blue', 'weft.fabric': 'vxlan', 'weft.gateway': 'on' },
      )
      .map(opening),
    fc.nat(7),
    fc.array(requests, { minLength: 1, maxLength: 60, size: 'max' }),
  )
  .map(([orderly, begun, nonsense]) => [...orderly.slice(0, begun), ...nonsense, ...orderly.slice(begun)]);
