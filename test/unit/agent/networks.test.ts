import { beforeEach, describe, expect, test, vi } from 'vitest';
import { familyOf } from '../../../src/model/address.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  createNetwork,
  keys,
  keysIn,
  letPass,
  outlast,
  removeNetwork,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

const subnet = '10.77.0.0/16';
const fabrics = [{ fabric: 'routed' }, { fabric: 'vxlan' }];

let store: FakeStore;
let host: WeftHost;
beforeEach(() => {
  store = new FakeStore();
  host = startHost(store);
});

const create = (fabric = 'routed') =>
  createNetwork(host, { id: 'd1', subnet, options: { 'weft.network': 'blue', 'weft.fabric': fabric } });

const networkKeys = async () => (await keysIn(store)).filter((key) => key.startsWith(keys.networks));

test.each(fabrics)('$fabric: what is created and removed leaves nothing behind', async ({ fabric }) => {
  const network = await create(fabric);
  expect(await networkKeys()).toEqual([keys.network('blue'), keys.participant('blue', host.id)]);
  await removeNetwork(host, network);
  expect(await keysIn(store)).toEqual([]);
  expect(host.kernel.host.routes()).toEqual([]);
  expect(await host.kernel.namespaces()).toEqual([]);
  expect(await host.kernel.host.filters.inet.read()).toBeUndefined();
});

test('a host of segments alone looks at no packet for them but those around others', async () => {
  await create('vxlan');
  const table = await host.kernel.host.filters.inet.read();
  expect(table?.chains.map(({ name }) => name)).toEqual([
    'tunnels',
    'tunnelsHere',
    'tunnelsElsewhere',
    'outerOut',
  ]);
});

describe('two networks of the same subnet', () => {
  const named = (name: string, fabric?: string) => ({
    'weft.network': name,
    ...(fabric && { 'weft.fabric': fabric }),
  });

  async function make(
    on: WeftHost,
    name: string,
    fabric = 'vxlan',
    ipamOptions: Record<string, string> = named(name),
  ) {
    const { poolId, cidr } = await on.addresses.requestPool({
      pool: subnet,
      options: ipamOptions,
      family: 4,
    });
    const id = `${name}-${on.id}`;
    await on.network.createNetwork({ id, options: named(name, fabric), internal: false, pools: [{ cidr }] });
    return { id, poolId, cidr, gateway: '10.77.0.1/16' };
  }

  test('are apart: containers with the same addresses come and go on each', async () => {
    const networks = [await make(host, 'blue'), await make(host, 'green')];
    const containers = await Promise.all(
      networks.map((made, index) => startContainer(host, made, `c${index}`)),
    );
    expect(containers.map(({ address }) => address)).toEqual(['10.77.0.1', '10.77.0.1']);
    const [first, second] = containers;
    if (first !== undefined) await stopContainer(host, first);
    const block = async (pool: string) => (await store.get(keys.block(pool, '10.77.0.0/26')))?.value;
    expect(await block(subnet)).toContain('"assigned":{}');
    expect(await block(`${subnet}@green`)).toContain('"assigned":{"1":');
    await letPass(4 * resyncMs);
    expect(await block(`${subnet}@green`)).toContain('"assigned":{"1":');
    if (second !== undefined) await stopContainer(host, second);
    for (const made of networks) await removeNetwork(host, made);
    expect(await keysIn(store)).toEqual([]);
  });

  test('cannot be, of a routed one that comes later', async () => {
    await make(host, 'blue');
    await expect(make(host, 'red', 'routed')).rejects.toThrow(
      "subnet 10.77.0.0/16 overlaps another network's, and fabric routed can tell networks apart by their subnets only; choose another --subnet, or -o weft.fabric=vxlan",
    );
  });

  test('are joined by a host that names the one it means, and by no other', async () => {
    await make(host, 'blue');
    const green = await make(host, 'green');
    await startContainer(host, green, 'c1');
    const h2 = startHost(store, 2);
    const there = await make(h2, 'green');
    const wish = h2.addresses.requestAddress({
      poolId: there.poolId,
      address: '10.77.0.1',
      purpose: 'other',
    });
    await expect(wish).rejects.toThrow('is in use on host h1');
    const h3 = startHost(store, 3);
    await expect(make(h3, 'green', 'vxlan', {})).rejects.toThrow('add --ipam-opt weft.network=green');
  });
});

test('a manager’s subnet is for its swarm, whose hosts each ask for it too, and for no other network', async () => {
  const asked = { pool: subnet, options: {}, family: 4 } as const;
  const { cidr } = await host.addresses.requestPool({ ...asked, isGlobal: true });
  const create = () =>
    host.network.createNetwork({ id: 'wl5zbz', options: {}, internal: false, pools: [{ cidr }] });
  await expect(create()).rejects.toThrow('with WEFT_SCOPE=global weft serves networks of a swarm only');
  const { poolId } = await host.addresses.requestPool(asked);
  await create();
  await removeNetwork(host, { id: 'wl5zbz', poolId, cidr, gateway: '10.77.0.1/16' });
  expect(await keysIn(store)).toEqual([keys.pool(subnet), keys.reference(subnet, 'swarm')]);
});

test('a subnet that is given twice is refused, and nothing is left', async () => {
  const { poolId, cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
  const before = await keysIn(store);
  const request = {
    id: 'd1',
    options: { 'weft.network': 'blue' },
    internal: false,
    pools: [{ cidr }, { cidr }],
  };
  await expect(host.network.createNetwork(request)).rejects.toThrow('subnet 10.77.0.0/16 is given twice');
  expect(await keysIn(store)).toEqual(before);
  await host.addresses.releasePool(poolId);
  expect(await keysIn(store)).toEqual([]);
});

describe('an address of the subnet for a gateway', () => {
  const asWayOut = { 'weft.fabric': 'vxlan', 'weft.gateway': 'on' };

  test.each<[Record<string, string>, boolean]>([
    [asWayOut, true],
    [{ 'weft.gateway': 'on' }, false],
    [{ 'weft.fabric': 'vxlan' }, false],
    [{}, false],
  ])('with %j is needed: %s', async (options, needed) => {
    expect(await host.network.needsGateway(options)).toBe(needed);
  });

  test('is needed where the network of that name has it, whatever is asked', async () => {
    const options = { ...asWayOut, 'weft.network': 'blue' };
    await createNetwork(host, { id: 'd1', subnet, options });
    expect(await host.network.needsGateway({ 'weft.network': 'blue' })).toBe(true);
  });

  test('is known to a host whose Docker did not ask for it', async () => {
    await createNetwork(host, { id: 'd1', subnet, options: asWayOut });
    const h2 = startHost(store, 2);
    const { cidr } = await h2.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
    await h2.network.createNetwork({ id: 'd2', options: {}, internal: false, pools: [{ cidr }] });
    const [scope = ''] = await h2.kernel.namespaces();
    const { addresses } = await (await h2.kernel.namespace(scope)).read();
    expect(addresses.map(({ address }) => address)).toContain('10.77.0.1/16');
  });
});

test('a repeated creation writes nothing', async () => {
  const { cidr, gateway } = await create();
  const before = store.revision;
  const options = { 'weft.network': 'blue' };
  await host.network.createNetwork({ id: 'd1', options, internal: false, pools: [{ cidr, gateway }] });
  expect(store.revision).toBe(before);
});

test.each([
  ['without a subnet', [], 'needs a subnet'],
  ['with a subnet that weft-ipam has not given', [{ cidr: '10.99.0.0/24' }], 'add --ipam-driver weft-ipam'],
])('one %s is refused', async (_what, pools, sentence) => {
  const creation = host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools });
  await expect(creation).rejects.toThrow(sentence);
  expect(await keysIn(store)).toEqual([]);
});

test('the same RequestPool does not serve two networks', async () => {
  const { cidr, gateway } = await create();
  const options = { 'weft.network': 'red' };
  const creation = host.network.createNetwork({
    id: 'd2',
    options,
    internal: false,
    pools: [{ cidr, gateway }],
  });
  await expect(creation).rejects.toThrow('add --ipam-driver weft-ipam');
});

test('it keeps the subnet that Docker has asked for last, since it asks again when an answer was lost', async () => {
  const request = { pool: subnet, options: {}, family: 4 } as const;
  await host.addresses.requestPool(request);
  const { poolId, cidr } = await host.addresses.requestPool(request);
  await host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools: [{ cidr }] });
  // Nobody makes a network with the first one any more.
  for (let look = 0; look < 25; look += 1) await letPass(resyncMs);
  expect(host.ledger.pools.all().map(({ id }) => id)).toEqual([poolId]);
  await startContainer(host, { id: 'd1', poolId, cidr, gateway: '' }, 'c1');
});

test('one in whose subnet a host lives is refused', async () => {
  const creation = createNetwork(host, { id: 'd1', subnet: '10.9.0.0/16' });
  await expect(creation).rejects.toThrow('contains 10.9.0.1, the address of host h1');
  expect(await networkKeys()).toEqual([]);
});

test('one whose MTU the uplink cannot carry is refused', async () => {
  const options = { 'weft.mtu': '1460', 'weft.fabric': 'vxlan' };
  await expect(createNetwork(host, { id: 'd1', subnet, options })).rejects.toThrow('leaves 1450 of them');
  expect(await networkKeys()).toEqual([]);
});

test.each([
  ['routed', 'route'],
  ['routed', 'nft'],
  ['routed', 'forward-accept'],
  ['vxlan', 'namespace'],
  ['vxlan', 'link'],
] as const)(
  '%s: when the kernel fails (%s), nothing is left, and it can be tried again',
  async (fabric, what) => {
    const { poolId, cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
    const options = { 'weft.fabric': fabric };
    const request = { id: 'd1', options, internal: false, pools: [{ cidr }] };
    await letPass(1_000);
    host.kernel.failNext(what);
    await expect(host.network.createNetwork(request)).rejects.toThrow('told to fail');
    expect(await networkKeys()).toEqual([]);
    await host.network.createNetwork(request);
    expect(await networkKeys()).toHaveLength(2);
    expect(await host.addresses.requestAddress({ poolId, purpose: 'other' })).toMatch(/^10\.77\./);
  },
);

test('with the store away it is refused by a sentence, and leaves nothing when the store is back', async () => {
  const { cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
  store.stop();
  await letPass(0);
  const creation = host.network.createNetwork({ id: 'd1', options: {}, internal: false, pools: [{ cidr }] });
  await expect(outlast(creation)).rejects.toThrow('the store is away');
  store.start();
  expect(await networkKeys()).toEqual([]);
});

test.each(fabrics)(
  '$fabric: removed while the store is away, it is given back at the second look',
  async ({ fabric }) => {
    const network = await create(fabric);
    store.stop();
    await letPass(0);
    await removeNetwork(host, network);
    expect(host.kernel.host.routes()).toEqual([]);
    expect(await host.kernel.namespaces()).toEqual([]);
    store.start();
    await letPass(resyncMs);
    expect(await keysIn(store)).not.toEqual([]);
    await letPass(resyncMs);
    await until(async () => (await keysIn(store)).length === 0);
  },
);

test('removed while the store is away, it can be created anew as soon as the store is back', async () => {
  const { poolId, gateway } = await createNetwork(host, { id: 'd1', subnet });
  store.stop();
  await letPass(0);
  await removeNetwork(host, { id: 'd1', poolId, gateway, cidr: subnet });
  store.start();
  await letPass(0);
  const successor = await createNetwork(host, { id: 'd2', subnet });
  await letPass(3 * resyncMs);
  const participant = await store.get(keys.participant(subnet, host.id));
  expect(participant?.value).toContain('"dockerNetworks":["d2"]');
  await removeNetwork(host, successor);
  expect(await keysIn(store)).toEqual([]);
});

test('the endpoints that Docker has lost go with it', async () => {
  const network = await create();
  await startContainer(host, network, 'c1');
  await removeNetwork(host, network);
  await until(() => host.kernel.host.links().length === 0);
  expect(await keysIn(store)).toEqual([]);
  host = await host.restart();
  await letPass(2 * resyncMs);
  expect(host.kernel.host.links()).toEqual([]);
});

test('one whose pools Docker has given back is one it was refused: it goes at the second look', async () => {
  const { poolId } = await create();
  await host.addresses.releasePool(poolId);
  await letPass(resyncMs);
  expect(await networkKeys()).not.toEqual([]);
  await letPass(resyncMs);
  await until(async () => (await keysIn(store)).length === 0);
  expect(host.kernel.host.routes()).toEqual([]);
});

describe('one with IPv6', () => {
  const subnet6 = 'fd77::/64';
  const pool = async (cidr: string) => {
    await host.addresses.requestPool({ pool: cidr, options: {}, family: familyOf(cidr) });
    return { cidr };
  };
  const createWith = async (cidrs: readonly string[], options: Readonly<Record<string, string>> = {}) =>
    host.network.createNetwork({
      id: 'd1',
      options,
      internal: false,
      pools: await Promise.all(cidrs.map(pool)),
    });

  test.each([
    { cidrs: [subnet, subnet6], key: subnet },
    { cidrs: [subnet6], key: subnet6 },
  ])('is known by the first of its subnets $cidrs, and routed in all of them', async ({ cidrs, key }) => {
    await createWith(cidrs);
    expect(await networkKeys()).toEqual([keys.network(key), keys.participant(key, host.id)]);
    expect(host.kernel.host.routes().map(({ destination }) => destination)).toEqual(
      expect.arrayContaining(cidrs),
    );
    // Routing is on already: nothing is left to turn on.
    expect(host.kernel.enableForwarding(cidrs.map(familyOf))).toEqual({ changed: false });
  });

  test('gets an automatic subnet from the range of the cluster', async () => {
    const ask = () => host.addresses.requestPool({ options: {}, family: 6 });
    const pools = [await ask(), await ask()];
    expect(new Set(pools.map(({ cidr }) => cidr)).size).toBe(2);
    for (const { cidr } of pools) expect(cidr).toMatch(/^fd.*::\/64$/);
    expect(await keysIn(store)).toContain(keys.config);
  });

  test.each([
    ['its MTU', { 'weft.mtu': '1200' }, 'IPv6 needs 1280'],
    ['the uplink', { 'weft.fabric': 'vxlan' }, 'IPv6 needs 1280'],
  ])('is refused where %s is too small for it', async (_what, options, sentence) => {
    await host.remove();
    host = startHost(store, 1, new FakeKernel([{ name: 'eth0', mtu: 1320, addresses: ['10.9.0.1/24'] }]));
    await expect(createWith([subnet6], options)).rejects.toThrow(sentence);
    expect(await networkKeys()).toEqual([]);
  });

  test('is refused where the host has an address in it, though others know it by another', async () => {
    await host.remove();
    const addresses = ['10.9.0.1/24', 'fd09::1/64'];
    host = startHost(store, 1, new FakeKernel([{ name: 'eth0', mtu: 1500, addresses }]));
    await expect(createWith(['fd09::/32'])).rejects.toThrow('contains fd09::1, the address of host h1');
  });

  test.each(fabrics)('over $fabric, on a host that has IPv6 switched off', async ({ fabric }) => {
    vi.spyOn(host.kernel, 'hasIpv6').mockReturnValue(false);
    const creation = createWith([subnet6], { 'weft.fabric': fabric });
    if (fabric === 'vxlan') return await creation;
    await expect(creation).rejects.toThrow('use -o weft.fabric=vxlan');
  });
});
