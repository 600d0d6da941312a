/** Published ports and the way out, with packets. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hostTable } from '../../src/fabric/host-table.ts';
import { type Publication, publicationElements } from '../../src/fabric/publication.ts';
import { fabrics } from '../../src/fabric/registry.ts';
import { containerEnd, macOf } from '../../src/model/names.ts';
import type { Network } from '../../src/model/records.ts';
import { tunnels } from '../unit/fabric/views.ts';
import { addContainer, type Host, openHost, type Space } from './host.ts';
import { ask, endServers, serve, tcp, udp } from './servers.ts';

const waiting = { timeout: 20_000, interval: 50 };
const network: Network = {
  v: 1,
  key: 'blue',
  fabric: 'routed',
  internal: false,
  gateway: true,
  pools: ['10.77.0.0/16'],
};

let host: Host;
let outside: Host;
let spaces: Space[];
beforeEach(async () => {
  host = await openHost(1);
  outside = await openHost(2, host);
  spaces = [];
  host.kernel.enableForwarding([4]);
  await vi.waitUntil(() => outside.pings('10.9.0.1'), waiting);
});
afterEach(async () => {
  await endServers();
  await host.close();
  await outside.close();
  for (const space of spaces) space.remove();
});

/** A container for each address, and ports that lead there. */
async function publish(addresses: readonly string[], publications: readonly Publication[]): Promise<Space[]> {
  const endpoints = addresses.map((address, n) => ({
    v: 1 as const,
    id: `${n}`.repeat(64),
    network: 'blue',
    host: 'h1',
    mac: macOf(address),
    addresses: [address],
    slot: 1,
  }));
  const view = {
    network,
    underlay: { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 },
    peers: new Map(),
    claims: [],
    beyond: [],
    shortcut: true,
    remote: [],
    local: endpoints,
  };
  const state = fabrics.get('routed')?.desired(view);
  if (state === undefined) throw new Error('there is a fabric routed');
  await host.kernel.host.apply([
    ...state.links.map((object) => ({ do: 'put', kind: 'link', object }) as const),
    ...state.addresses.map((object) => ({ do: 'put', kind: 'address', object }) as const),
    ...state.routes.map((object) => ({ do: 'put', kind: 'route', object }) as const),
  ]);
  const ways = { sources: network.pools, publications };
  await host.kernel.host.filters.inet.write(() =>
    hostTable({
      underlay: view.underlay,
      networks: [network],
      segments: [],
      uplinks: ['eth0'],
      tunnelInUse: false,
      endpoints,
      ways,
      tunnels,
    }),
  );
  return endpoints.map(({ id, addresses: [address] }) => {
    const space = addContainer(
      host,
      containerEnd(id),
      `ip addr add ${address}/32 dev eth0
       ip route add 169.254.1.1 dev eth0
       ip route add default via 169.254.1.1`,
    );
    spaces.push(space);
    return space;
  });
}

const web: Publication = { protocol: tcp, hostPort: 8080, address: '10.77.0.2', port: 80 };

test('a published port leads to the container from everywhere', async () => {
  const [one, other] = await publish(['10.77.0.2', '10.77.0.3'], [web]);
  if (one === undefined || other === undefined) throw new Error('there are two');
  await serve(one, tcp, 80, 'one');
  expect(ask(outside, tcp, '10.9.0.1', 8080)).toBe('one hears 10.9.0.2');
  expect(ask(host, tcp, '10.9.0.1', 8080)).toContain('one hears');
  expect(ask(host, tcp, '127.0.0.1', 8080)).toContain('one hears');
  expect(ask(other, tcp, '10.9.0.1', 8080)).toContain('one hears');
  expect(ask(one, tcp, '10.9.0.1', 8080)).toContain('one hears');
  expect(ask(outside, tcp, '10.9.0.1', 80)).toBe('ECONNREFUSED');
});

test('a port of one address of the host is no other’s', async () => {
  const at = { ...web, hostAddress: '127.0.0.1' };
  const [one] = await publish(['10.77.0.2'], [at, { ...web, protocol: udp, hostPort: 53, port: 5353 }]);
  if (one === undefined) throw new Error('there is one');
  await serve(one, tcp, 80, 'one');
  await serve(one, udp, 5353, 'one');
  expect(ask(host, tcp, '127.0.0.1', 8080)).toContain('one hears');
  expect(ask(outside, tcp, '10.9.0.1', 8080)).toBe('ECONNREFUSED');
  expect(ask(outside, udp, '10.9.0.1', 53)).toBe('one hears 10.9.0.2');
});

test('what goes out bears the address of the host, what stays keeps its own', async () => {
  const [one, other] = await publish(['10.77.0.2', '10.77.0.3'], []);
  if (one === undefined || other === undefined) throw new Error('there are two');
  await serve(outside, tcp, 80, 'outside');
  await serve(other, tcp, 80, 'other');
  expect(ask(one, tcp, '10.9.0.2', 80)).toBe('outside hears 10.9.0.1');
  expect(ask(one, tcp, '10.77.0.3', 80)).toBe('other hears 10.77.0.2');
  outside.run('ip route add 10.77.0.0/16 via 10.9.0.1');
  expect(ask(outside, tcp, '10.77.0.3', 80)).toBe('other hears 10.9.0.2');
});

test('a connection to who is gone is forgotten, so that who comes next is heard', async () => {
  const before = { ...web, protocol: udp, hostPort: 53, port: 53 };
  const after = { ...before, address: '10.77.0.3' };
  const [one, other] = await publish(['10.77.0.2', '10.77.0.3'], [before]);
  if (one === undefined || other === undefined) throw new Error('there are two');
  await serve(one, udp, 53, 'one');
  await serve(other, udp, 53, 'other');
  expect(ask(outside, udp, '10.9.0.1', 53, 40_000)).toBe('one hears 10.9.0.2');
  const filter = host.kernel.host.filters.inet;
  await filter.delete(publicationElements([before]));
  await filter.put(publicationElements([after]));
  expect(ask(outside, udp, '10.9.0.1', 53, 40_000)).toBe('one hears 10.9.0.2');
  await host.kernel.host.forget(['10.77.0.2']);
  expect(ask(outside, udp, '10.9.0.1', 53, 40_000)).toBe('other hears 10.9.0.2');
});

describe('a port that is held', () => {
  const wish = { protocol: tcp, address: '0.0.0.0', port: 8080 };

  test.each([
    ['TCP', tcp],
    ['UDP', udp],
  ])('is nobody else’s until it is released: %s', async (_, protocol) => {
    const held = host.kernel.holdPort({ ...wish, protocol });
    expect(() => host.kernel.holdPort({ ...wish, protocol, address: '10.9.0.1' })).toThrow(/8080.*in use/);
    held.release();
    host.kernel.holdPort({ ...wish, protocol, address: '10.9.0.1' }).release();
  });

  test('is one that is free, where any will do', () => {
    const first = host.kernel.holdPort({ ...wish, port: 0 });
    const second = host.kernel.holdPort({ ...wish, port: 0 });
    expect(first.port).toBeGreaterThan(1023);
    expect(second.port).not.toBe(first.port);
    expect(() => host.kernel.holdPort({ ...wish, port: first.port })).toThrow(/in use/);
    first.release();
    second.release();
  });

  test('is of an address that the host has', () => {
    expect(() => host.kernel.holdPort({ ...wish, address: '10.9.0.99' })).toThrow(
      /is not an address of this host/,
    );
    host.kernel.holdPort({ ...wish, address: '::' }).release();
  });
});
