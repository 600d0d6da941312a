/** The Docker daemon is killed, ends its containers when it comes back, and starts them again. */
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { lostEndpoints } from '../../../src/agent/lost-endpoints.ts';
import { hostEnd } from '../../../src/model/names.ts';
import { skippingClock } from '../../fakes/clock.ts';
import { FakeStore } from '../../fakes/store.ts';
import { testLedger } from './test-ledger.ts';
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
  until,
  useTestTime,
  type WeftHost,
  withoutLength,
} from './weft-host.ts';

useTestTime();

let store: FakeStore;
let host: WeftHost;
let network: MadeNetwork;

const sandboxOf = (name: string) => `/run/docker/netns/${name}`;
const ask = (address: string) =>
  host.addresses.requestAddress({ poolId: network.poolId, address, purpose: 'other' });
const endpointKeys = async () => (await keysIn(store)).filter((key) => key.startsWith(keys.allEndpoints));

async function begin(fabric: string, subnet: string): Promise<void> {
  store = new FakeStore();
  host = startHost(store);
  const options = { 'weft.network': 'blue', 'weft.fabric': fabric };
  network = await createNetwork(host, { id: 'd1', subnet, options });
}

/** By the daemon, which says nothing of it. */
function end({ endpoint }: Container, name: string): void {
  host.kernel.endedSandboxes.add(sandboxOf(name));
  host.kernel.endLink(endpoint);
}

/** That the endpoint's container is still taken for one that runs. */
async function expectRefusal(address: string): Promise<void> {
  const before = await endpointKeys();
  await expect(outlast(ask(address))).rejects.toThrow(`address ${address} is in use on host h1`);
  expect(await endpointKeys()).toEqual(before);
}

describe.each([
  ['routed', '10.77.0.0/16'],
  ['vxlan', '10.77.0.0/16'],
  ['routed', 'fd77::/64'],
  ['vxlan', 'fd77::/64'],
])('on a %s network %s', (fabric, subnet) => {
  beforeEach(() => begin(fabric, subnet));

  test('a container has its address again at once, and nobody hears of the lost endpoint any more', async () => {
    const lost = await startContainer(host, network, 'c1');
    end(lost, 'c1');
    const address = await ask(lost.address);
    expect(withoutLength(address)).toBe(lost.address);
    expect(await endpointKeys()).toEqual([]);
    const [key, sandbox] = [{ network: 'd1', endpoint: 'c2'.padEnd(64, '0') }, sandboxOf('c2')];
    await host.network.createEndpoint({ ...key, addresses: [address] });
    await host.network.join({ ...key, sandbox });
    expect(await endpointKeys()).toEqual([keys.endpoint('blue', key.endpoint)]);
  });

  test('so it has when weft was restarted, too', async () => {
    const lost = await startContainer(host, network, 'c1');
    host = await host.restart();
    end(lost, 'c1');
    expect(withoutLength(await ask(lost.address))).toBe(lost.address);
  });

  test('so it has after a power cut', async () => {
    const { address } = await startContainer(host, network, 'c1');
    host = await host.restart(freshKernel());
    expect(withoutLength(await ask(address))).toBe(address);
  });

  test('so it has while the store is away, which hears of it later', async () => {
    const lost = await startContainer(host, network, 'c1');
    store.stop();
    await letPass(0);
    end(lost, 'c1');
    const [address, endpoint] = [await ask(lost.address), 'c2'.padEnd(64, '0')];
    expect(withoutLength(address)).toBe(lost.address);
    await host.network.createEndpoint({ network: 'd1', endpoint, addresses: [address] });
    await host.network.join({ network: 'd1', endpoint, sandbox: sandboxOf('c2') });
    store.start();
    await until(async () => isDeepStrictEqual(await endpointKeys(), [keys.endpoint('blue', endpoint)]));
  });

  test('one that runs keeps its address', async () => {
    const { address } = await startContainer(host, network, 'c1');
    await expectRefusal(address);
    host = await host.restart();
    await expectRefusal(address);
  });
});

describe('an endpoint', () => {
  beforeEach(() => begin('routed', '10.77.0.0/16'));

  test('whose namespace is about to end is waited for', async () => {
    const lost = await startContainer(host, network, 'c1');
    let left = '';
    host.nameBook.onEnd((sandbox) => {
      left = sandbox;
    });
    host.kernel.endedSandboxes.add(sandboxOf('c1'));
    const request = ask(lost.address);
    await letPass(200);
    expect(left).toBe(sandboxOf('c1'));
    host.kernel.endLink(lost.endpoint);
    expect(withoutLength(await outlast(request))).toBe(lost.address);
  });

  test('whose link was never taken is deleted by itself after a minute', async () => {
    const untaken = await createContainer(host, network, 'c1');
    await host.network.join({ ...untaken, sandbox: sandboxOf('c1') });
    const taken = await startContainer(host, network, 'c2');
    await letPass(5 * resyncMs);
    expect(await endpointKeys()).toEqual([keys.endpoint('blue', taken.endpoint)]);
    expect(host.kernel.host.links().map(({ name }) => name)).not.toContain(hostEnd(untaken.endpoint));
  });

  test('is given up for a container that is known by its MAC, and has no address of its own', async () => {
    const [mac, endpoint] = ['02:00:00:00:00:07', 'c1'.padEnd(64, '0')];
    const request = { poolId: network.poolId, mac, purpose: 'other' } as const;
    const address = await host.addresses.requestAddress(request);
    await host.network.createEndpoint({ network: 'd1', endpoint, addresses: [address], mac });
    await host.network.join({ network: 'd1', endpoint, sandbox: sandboxOf('c1') });
    host.kernel.endLink(endpoint);
    expect(await host.addresses.requestAddress(request)).toBe(address);
    expect(await endpointKeys()).toEqual([]);
  });

  test.each(['routed', 'vxlan'])('gives up its ports, too (%s)', async (fabric) => {
    const options = { 'weft.network': 'green', 'weft.fabric': fabric, 'weft.gateway': 'on' };
    const green = await createNetwork(host, { id: 'd3', subnet: '10.79.0.0/16', options });
    const port = { protocol: 6, port: 80, hostPort: 8080, hostPortEnd: 8080 };
    const [lost, next] = [await startContainer(host, green, 'c1'), await startContainer(host, green, 'c2')];
    await host.network.publish(lost, [port]);
    await expect(host.network.publish(next, [port])).rejects.toThrow('port 8080 of this host');
    end(lost, 'c1');
    await host.network.publish(next, [port]);
    expect([...host.kernel.heldPorts]).toEqual(['0.0.0.0 6 8080']);
    expect(await endpointKeys()).toEqual([keys.endpoint('green', next.endpoint)]);
  });

  test('that has a link is a container’s, even where weft does not see what Docker keeps', async () => {
    const { address } = await startContainer(host, network, 'c1');
    host.kernel.endedSandboxes.add(sandboxOf('c1'));
    await expectRefusal(address);
  });

  test('that is to be joined is a container’s', async () => {
    const { address } = await createContainer(host, network, 'c1');
    await expectRefusal(address);
  });

  test('that is being joined is a container’s, though it has no link yet', async () => {
    const joining = await createContainer(host, network, 'c1');
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    const apply = host.kernel.host.apply.bind(host.kernel.host);
    host.kernel.host.apply = async (changes) => {
      await held;
      await apply(changes);
    };
    const joined = host.network.join({ ...joining, sandbox: sandboxOf('c1') });
    await expectRefusal(joining.address);
    goOn();
    await joined;
    await expectRefusal(joining.address);
  });

  test('of another network with that address stays', async () => {
    const options = { 'weft.network': 'red', 'weft.fabric': 'vxlan' };
    const { poolId } = await host.addresses.requestPool({
      ...{ pool: network.cidr, family: 4 },
      options: { 'weft.network': 'red' },
    });
    const pools = [{ cidr: network.cidr }];
    await host.network.createNetwork({ id: 'd2', options, internal: false, pools });
    const { address } = await startContainer(host, network, 'c1');
    const other = { network: 'd2', endpoint: 'c2'.padEnd(64, '0') };
    await host.addresses.requestAddress({ poolId, address, purpose: 'other' });
    await host.network.createEndpoint({ ...other, addresses: [`${address}/16`] });
    await host.network.join({ ...other, sandbox: sandboxOf('c2') });
    host.kernel.endLink(other.endpoint);
    await expectRefusal(address);
  });
});

describe('an endpoint whose link was never taken, as a daemon that died meanwhile leaves it,', () => {
  const endpoint = { id: 'e1', network: 'd1', mac: '', addresses: ['10.77.0.2'], slot: 1, sandbox: 's1' };
  const left = { hasJoined: false, isUntaken: true, keepsSandbox: false };

  /** Which endpoints are given up when the address is asked for. */
  async function givenUp({ hasJoined, isUntaken, keepsSandbox }: typeof left): Promise<string[]> {
    const ledger = testLedger();
    await ledger.endpoints.put(endpoint);
    const gone: string[] = [];
    const giveUpLost = lostEndpoints({
      ledger,
      isLinked: async () => true,
      isJoining: () => false,
      hasJoined: () => hasJoined,
      isUntaken: async () => isUntaken,
      keepsSandbox: () => keepsSandbox,
      leaveSandbox: () => {},
      deleteEndpoint: async (key) => void gone.push(key.endpoint),
      clock: skippingClock(),
      log: pino({ level: 'silent' }),
    });
    await giveUpLost(() => true);
    return gone;
  }

  test('is given up', async () => {
    expect(await givenUp(left)).toEqual(['e1']);
  });

  test.each([
    ['Docker may be about to take it: its Join was answered by this weft', { ...left, hasJoined: true }],
    ['Docker has taken it', { ...left, isUntaken: false }],
    ['Docker keeps the sandbox', { ...left, keepsSandbox: true }],
  ])('stays when %s', async (_, found) => {
    expect(await givenUp(found)).toEqual([]);
  });
});
