import { beforeEach, describe, expect, test } from 'vitest';
import { containerEnd } from '../../../src/model/names.ts';
import { FakeStore } from '../../fakes/store.ts';
import {
  type Container,
  createContainer,
  createNetwork,
  freshKernel,
  keys,
  keysIn,
  letPass,
  type MadeNetwork,
  outlast,
  resyncMs,
  startContainer,
  startHost,
  stopContainer,
  until,
  useTestTime,
  type WeftHost,
} from './weft-host.ts';

useTestTime();

let store: FakeStore;
let host: WeftHost;
let network: MadeNetwork;

const endpointKeys = async () => (await keysIn(store)).filter((key) => key.startsWith(keys.allEndpoints));
const sandbox = '/run/docker/netns/c1';

/** The namespace that a network of the fabric is in. */
async function namespaceOf(fabric: string) {
  const [own = ''] = await host.kernel.namespaces();
  return fabric === 'vxlan' ? await host.kernel.namespace(own) : host.kernel.host;
}

describe.each([
  { fabric: 'routed', own: ['link', 'address', 'route'] as const },
  { fabric: 'vxlan', own: ['link', 'namespace'] as const },
])('on a $fabric network', ({ fabric, own }) => {
  beforeEach(async () => {
    store = new FakeStore();
    host = startHost(store);
    network = await createNetwork(host, {
      id: 'd1',
      subnet: '10.77.0.0/16',
      options: { 'weft.network': 'blue', 'weft.fabric': fabric },
    });
  });

  const veths = async () => {
    const { links } = await (await namespaceOf(fabric)).read();
    return links.flatMap(({ kind, name }) => (kind === 'veth' && name !== 'weft-door' ? [name] : []));
  };

  test('one whose address is in no subnet of the network is refused, and nothing is left', async () => {
    const before = await keysIn(store);
    const request = { network: network.id, endpoint: 'e'.repeat(64), addresses: ['10.99.0.2/16'] };
    await expect(host.network.createEndpoint(request)).rejects.toThrow(
      'address 10.99.0.2/16 is in no subnet of network blue, which has 10.77.0.0/16',
    );
    expect(await keysIn(store)).toEqual(before);
  });

  test('a container that comes and goes leaves nothing behind', async () => {
    const before = await keysIn(store);
    const container = await startContainer(host, network, 'c1');
    expect(await veths()).toEqual(['weftc100000000h']);
    expect(await endpointKeys()).toEqual([keys.endpoint('blue', container.endpoint)]);
    await stopContainer(host, container);
    expect(await veths()).toEqual([]);
    expect(await endpointKeys()).toEqual([]);
    const block = keys.block('10.77.0.0/16', '10.77.0.0/26');
    const claim = keys.claim('10.77.0.0/16', '10.77.0.0/26');
    expect((await keysIn(store)).filter((key) => key !== block && key !== claim)).toEqual(before);
    expect((await store.get(block))?.value).toContain('"assigned":{}');
  });

  test('a repeated CreateEndpoint writes nothing', async () => {
    const { endpoint, address } = await createContainer(host, network, 'c1');
    const before = store.revision;
    await host.network.createEndpoint({ network: 'd1', endpoint, addresses: [`${address}/32`] });
    expect(store.revision).toBe(before);
  });

  test.each(own)('when the kernel fails in Join (%s), nothing is left of it', async (what) => {
    const container = await createContainer(host, network, 'c1');
    host.kernel.failNext(what);
    await expect(host.network.join({ ...container, sandbox })).rejects.toThrow(
      /^endpoint c10000000000 of network blue could not be wired: .*told to fail/,
    );
    expect(await veths()).toEqual([]);
    await host.network.join({ ...container, sandbox });
    expect(await veths()).toEqual(['weftc100000000h']);
  });

  test('when the kernel fails in Join and goes on failing, the sentence is about Join', async () => {
    const container = await createContainer(host, network, 'c1');
    for (const what of own) for (let times = 0; times < 3; times += 1) host.kernel.failNext(what);
    await expect(host.network.join({ ...container, sandbox })).rejects.toThrow('could not be wired');
  });

  test('when the kernel fails in DeleteEndpoint, the link goes later', async () => {
    const container = await startContainer(host, network, 'c1');
    host.kernel.failNext('link');
    await stopContainer(host, container);
    await until(async () => (await veths()).length === 0);
    expect(await endpointKeys()).toEqual([]);
  });

  test('when the store is away, CreateEndpoint says so and leaves nothing', async () => {
    await host.addresses.requestAddress({ poolId: network.poolId, purpose: 'other' });
    store.stop();
    await letPass(0);
    const key = { network: 'd1', endpoint: 'e1' };
    // One that this host has never been given.
    const creation = host.network.createEndpoint({ ...key, addresses: ['10.77.0.20/32'] });
    await expect(outlast(creation)).rejects.toThrow('the store is away');
    await expect(host.network.endpointInfo(key)).rejects.toMatchObject({ code: 'not-found' });
    store.start();
    await letPass(2 * resyncMs);
    await until(
      async () => !JSON.stringify((await store.list(keys.allBlocks)).entries, printed).includes('host"'),
    );
    expect(await endpointKeys()).toEqual([]);
  });

  test('when the network is gone from the store, CreateEndpoint fails and leaves nothing', async () => {
    const address = await host.addresses.requestAddress({ poolId: network.poolId, purpose: 'other' });
    store.writeElsewhere([{ delete: keys.network('blue') }]);
    const key = { network: 'd1', endpoint: 'e1' };
    await expect(host.network.createEndpoint({ ...key, addresses: [address] })).rejects.toThrow(
      'network blue is not in the store any more: remove it',
    );
    await expect(host.network.endpointInfo(key)).rejects.toMatchObject({ code: 'not-found' });
    expect(await endpointKeys()).toEqual([]);
  });

  test('a lost answer of the store is settled', async () => {
    const address = await host.addresses.requestAddress({ poolId: network.poolId, purpose: 'other' });
    store.loseAnswers(1);
    await host.network.createEndpoint({ network: 'd1', endpoint: 'e1', addresses: [address] });
    expect(await endpointKeys()).toEqual([keys.endpoint('blue', 'e1')]);
  });

  test('with the store away a container is wired and removed; what it had is given back later', async () => {
    const container = await createContainer(host, network, 'c1');
    store.stop();
    await letPass(0);
    await host.network.join({ ...container, sandbox });
    expect(await veths()).toEqual(['weftc100000000h']);
    await stopContainer(host, container);
    expect(await veths()).toEqual([]);
    store.start();
    await letPass(2 * resyncMs);
    await until(async () => (await endpointKeys()).length === 0);
  });

  test('an endpoint whose link went with a power cut is forgotten at the second look', async () => {
    const { address } = await startContainer(host, network, 'c1');
    host = await host.restart(freshKernel());
    await letPass(resyncMs);
    expect(await endpointKeys()).toHaveLength(1);
    await letPass(3 * resyncMs);
    await until(async () => (await endpointKeys()).length === 0);
    const request = { poolId: network.poolId, address, purpose: 'other' } as const;
    await until(async () => (await host.addresses.requestAddress(request)).startsWith(address));
  });

  test('an endpoint that is joined stays, however often it is looked at', async () => {
    const created = await createContainer(host, network, 'c1');
    await letPass(resyncMs);
    await host.network.join({ ...created, sandbox });
    host.kernel.takeEnd(containerEnd(created.endpoint));
    await letPass(4 * resyncMs);
    expect(await veths()).toEqual(['weftc100000000h']);
    expect(await endpointKeys()).toHaveLength(1);
  });

  test('an endpoint that is being deleted is not joined any more', async () => {
    const container = await createContainer(host, network, 'c1');
    const deleted = host.network.deleteEndpoint(container);
    const joined = host.network.join({ ...container, sandbox });
    await expect(joined).rejects.toThrow('does not know endpoint');
    await deleted;
    expect(await veths()).toEqual([]);
  });

  test('an endpoint that was never joined, as weft was killed in that call, is forgotten', async () => {
    await createContainer(host, network, 'c1');
    await letPass(4 * resyncMs);
    await until(async () => (await endpointKeys()).length === 0);
  });
});

/** Revisions are no JSON. */
const printed = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

describe('one container', () => {
  let other: MadeNetwork;
  let containers: Container[];
  beforeEach(async () => {
    store = new FakeStore();
    host = startHost(store);
    network = await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16' });
    other = await createNetwork(host, { id: 'd2', subnet: '10.78.0.0/16' });
    containers = [
      await createContainer(host, network, 'c1'),
      await createContainer(host, other, 'c2'),
      await createContainer(host, network, 'c3'),
    ];
  });

  const nextHops = async (of: Container | undefined, inSandbox = sandbox) => {
    if (of === undefined) throw new Error('there is no such container');
    return (await host.network.join({ ...of, sandbox: inSandbox })).routes.map(
      ({ destination }) => destination,
    );
  };

  test('has a next hop of its own for each of its networks', async () => {
    const [c1, c2, c3] = containers;
    expect(await nextHops(c1)).toEqual(['169.254.1.1/32', '10.77.0.0/16']);
    expect(await nextHops(c2)).toEqual(['169.254.1.2/32', '10.78.0.0/16']);
    expect(await nextHops(c3, '/another')).toEqual(['169.254.1.1/32', '10.77.0.0/16']);
  });

  test('has one again for a network that it joins anew', async () => {
    const [c1, c2] = containers;
    await nextHops(c1);
    await nextHops(c2);
    if (c1 !== undefined) await host.network.leave(c1);
    expect(await nextHops(c1)).toEqual(['169.254.1.1/32', '10.77.0.0/16']);
  });
});

test('after a reboot a container is wired only when its segment is whole', async () => {
  store = new FakeStore();
  host = startHost(store);
  const options = { 'weft.fabric': 'vxlan' };
  network = await createNetwork(host, { id: 'd1', subnet: '10.77.0.0/16', options });
  const container = await createContainer(host, network, 'c1');

  const kernel = freshKernel();
  const { promise: looked, resolve: look } = Promise.withResolvers<void>();
  const route = kernel.route.bind(kernel);
  kernel.route = async (destinations) => {
    // The first look, which asks for the way to the (no) other hosts, takes its time.
    if (destinations.length === 0) await looked;
    return route(destinations);
  };
  host = await host.restart(kernel);
  await until(async () => (await kernel.namespaces()).length > 0);
  let asked = false;
  const namespaces = kernel.namespaces.bind(kernel);
  kernel.namespaces = async () => {
    asked = true;
    return namespaces();
  };
  const joining = host.network.join({ ...container, sandbox });
  joining.catch(() => undefined);
  await until(() => asked);
  await letPass(10);
  look();
  expect((await joining).link).toBe('weftc100000000c');
});
