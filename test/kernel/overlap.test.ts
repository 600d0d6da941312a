/** Two segments of one host with the same subnet, and containers with the same addresses: as the agent wires them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Cluster } from '../../src/agent/cluster.ts';
import { type LedgerEndpoint, type LedgerNetwork, openLedger } from '../../src/agent/ledger.ts';
import { scopeOf } from '../../src/agent/networks.ts';
import { type Passes, passesOver } from '../../src/agent/passes.ts';
import { filterScope } from '../../src/agent/reconciler.ts';
import { localEndpoint, networkOf, Views } from '../../src/agent/views.ts';
import { vxlan } from '../../src/fabric/vxlan.ts';
import { diff } from '../../src/kernel/diff.ts';
import { emptyState } from '../../src/kernel/state.ts';
import { containerEnd, macOf } from '../../src/model/names.ts';
import { Mirror } from '../../src/store/mirror.ts';
import { keys } from '../unit/agent/weft-host.ts';
import { addContainer, echoes, type Host, openHost, type Space } from './host.ts';
import { ask, endServers, serve, tcp, udp } from './servers.ts';

const waiting = { timeout: 20_000, interval: 50 };
const underlay = { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 };
const web = '10.77.0.2';
const other = '10.77.0.3';
/** Of the host, and of the one outside. */
const wires = [
  ['10.9.0.1', '10.9.0.2'],
  ['fd09::1', 'fd09::2'],
] as const;

let host: Host;
let outside: Host;
let folder: string;
let passes: Passes;
let spaces: Space[];

/** Of each network, by its name and the address. */
let containers: Map<string, Space>;

beforeEach(async () => {
  host = await openHost(1);
  outside = await openHost(2, host);
  folder = mkdtempSync(join(tmpdir(), 'weft-overlap-'));
  spaces = [];
  containers = new Map();
  const ledger = openLedger(folder, () => {});
  const cluster = new Cluster(new Mirror(keys.root), keys, pino({ level: 'silent' }));
  const views = new Views(
    cluster,
    ledger,
    () => underlay,
    () => true,
  );
  passes = passesOver(
    host.kernel,
    ledger,
    views,
    { peers: async () => new Map(), look: () => {} },
    () => false,
  );
  for (const network of [networkCalled('blue', 1), networkCalled('red', 2)]) {
    await ledger.networks.put(network);
    await passes.pass(scopeOf(network));
    const namespace = await host.kernel.namespace(scopeOf(network));
    for (const address of [web, other]) {
      const endpoint = endpointOf(network, address);
      await ledger.endpoints.put(endpoint);
      const view = views.network(networkOf(network), new Map(), () => false);
      const local = localEndpoint(endpoint, network.key, 'h1');
      await namespace.apply(diff(emptyState, vxlan.endpoint(view, local)));
      const setUp = `ip addr add ${address}/24 dev eth0; ip route add default via 10.77.0.1
        ip addr add ${endpoint.addresses[1]}/64 dev eth0 nodad; ip route add default via fd77::1`;
      const space = addContainer(host, containerEnd(endpoint.id), setUp);
      spaces.push(space);
      containers.set(`${network.key} ${address}`, space);
    }
  }
  for (const scope of await passes.scopes()) await passes.pass(scope);
  await vi.waitUntil(() => outside.pings('10.9.0.1'), waiting);
  for (const key of ['blue', 'red']) await vi.waitUntil(() => container(key, other).pings(web), waiting);
});
afterEach(async () => {
  await endServers();
  await host.close();
  await outside.close();
  for (const space of spaces) space.remove();
  rmSync(folder, { recursive: true });
});

function networkCalled(key: string, leg: number): LedgerNetwork {
  return {
    ...{ id: `docker-${key}`, key, fabric: 'vxlan', vni: 4096 + leg, internal: false, gateway: true, leg },
    ...{ pools: ['10.77.0.0/24', 'fd77::/64'], gateways: ['10.77.0.1/24', 'fd77::1/64'] },
    interfacePrefix: 'eth',
  };
}

/** The first of each network is published, at ports of its own. */
function endpointOf({ id: network, key, leg = 0 }: LedgerNetwork, address: string): LedgerEndpoint {
  const id = `${key}${address.at(-1)}`.padEnd(64, '0');
  const hostPort = 8080 + leg;
  const addresses = [address, address.replace('10.77.0.', 'fd77::')];
  const published = addresses.flatMap((own) => [
    { protocol: tcp, hostPort, address: own, port: 80 },
    { protocol: udp, hostPort, address: own, port: 53 },
  ]);
  return {
    ...{ id, network, mac: macOf(address), addresses, sandbox: `/${key}${address}`, slot: 1 },
    ...(address === web ? { published } : {}),
  };
}

function container(network: string, address: string): Space {
  const found = containers.get(`${network} ${address}`);
  if (found === undefined) throw new Error(`there is no ${address} on ${network}`);
  return found;
}

test('each reaches its own, and no packet of it the other', () => {
  for (const [key, elsewhere] of [
    ['blue', 'red'],
    ['red', 'blue'],
  ] as const) {
    const send = () => expect(container(key, other).pings(web)).toBe(true);
    expect(echoes(container(elsewhere, web), () => expect(echoes(container(key, web), send)).toBe(1))).toBe(
      0,
    );
  }
});

test('both have their way out, at once, from one address and port', async () => {
  await serve(outside, udp, 53, 'outside');
  await serve(outside, tcp, 80, 'outside');
  for (const key of ['blue', 'red']) {
    for (const [from, to] of wires) {
      expect(ask(container(key, web), udp, to, 53, 40_000)).toBe(`outside hears ${from}`);
      expect(ask(container(key, web), tcp, to, 80)).toBe(`outside hears ${from}`);
    }
  }
});

test('ports of one address lead to two containers', async () => {
  for (const [key, port] of [
    ['blue', 8081],
    ['red', 8082],
  ] as const) {
    await serve(container(key, web), tcp, 80, key);
    await serve(container(key, web), udp, 53, key);
    for (const protocol of [tcp, udp]) {
      for (const [at, from] of wires) {
        expect(ask(outside, protocol, at, port)).toBe(`${key} hears ${from}`);
        expect(ask(host, protocol, at, port)).toContain(`${key} hears`);
        expect(ask(container('red', other), protocol, at, port)).toContain(`${key} hears`);
      }
    }
  }
});

test('what is taken away of one is left of the other', async () => {
  await serve(container('red', web), tcp, 80, 'red');
  const blue = await host.kernel.namespace('weft-4097');
  await blue.forget([web]);
  await blue.apply(diff(await blue.read(), emptyState));
  await host.kernel.removeNamespace('weft-4097');
  expect(container('red', other).pings(web)).toBe(true);
  expect(ask(outside, tcp, '10.9.0.1', 8082)).toBe('red hears 10.9.0.2');
  await passes.pass('host');
  await passes.pass(filterScope);
  expect(ask(outside, tcp, '10.9.0.1', 8082)).toBe('red hears 10.9.0.2');
});
