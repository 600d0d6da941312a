/**
 * What a kernel does for weft, whichever it is: the suite runs over the real one (root, own namespaces) and
 * over the fake that stands in for it elsewhere.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { NftTable } from '../../src/kernel/nft.ts';
import { emptyState, type NamespaceState } from '../../src/kernel/state.ts';
import { leftAfter, namespaceSuite, settle } from './namespace-suite.ts';
import { routed, segment, veth } from './states.ts';

/**
 * A host of which nothing is weft's yet: it has eth0 (MTU 1500) with 10.9.0.1/24 and fd09::1/64, forwards
 * nothing, and has the FORWARD chain that Docker makes.
 */
export interface KernelBench {
  readonly kernel: Kernel;
  /** Does what Docker does with a container's end: moves it from the host's namespace into the container's. */
  takeEnd(name: string): void;
  close(): Promise<void>;
}

const table: NftTable = {
  family: 'inet',
  name: 'weft',
  sets: [
    { name: 'pools', type: ['ipv4_addr'], interval: true, elements: ['10.77.0.0/16', '10.78.0.0/16'] },
    {
      name: 'within',
      type: ['ipv6_addr', 'ipv6_addr'],
      interval: true,
      elements: ['fd77::/64 . fd77::1/128'],
    },
  ],
  chains: [
    {
      name: 'forward',
      base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' },
      rules: ['ip saddr @pools jump strangers'],
    },
    {
      name: 'strangers',
      rules: ['ip6 saddr . ip6 daddr != @within reject with icmpv6 type admin-prohibited'],
    },
  ],
};

export function kernelSuite(open: () => Promise<KernelBench>): void {
  let bench: KernelBench;
  let kernel: Kernel;
  beforeEach(async () => {
    bench = await open();
    kernel = bench.kernel;
  });
  afterEach(() => bench.close());

  namespaceSuite(() => kernel);

  describe('a namespace of a network’s own', () => {
    test('is there until it is removed, with all that is in it', async () => {
      await settle(await kernel.namespace('weft-4097'), segment);
      await kernel.namespace('weft-4098');
      expect(new Set(await kernel.namespaces())).toEqual(new Set(['weft-4097', 'weft-4098']));
      await kernel.removeNamespace('weft-4097');
      await kernel.removeNamespace('weft-4097');
      expect(await kernel.namespaces()).toEqual(['weft-4098']);
      expect(await (await kernel.namespace('weft-4097')).read()).toEqual(emptyState);
    });

    test('may hold the addresses that another holds', async () => {
      await settle(await kernel.namespace('weft-4097'), segment);
      const other = await kernel.namespace('weft-4098');
      const same: NamespaceState = {
        ...segment,
        links: segment.links
          .filter(({ kind }) => kind !== 'veth')
          .map((link) => (link.kind === 'vxlan' ? { ...link, vni: 4098 } : link)),
      };
      expect(await leftAfter(other, same)).toEqual([]);
    });

    test('must be named as weft’s', async () => {
      await expect(kernel.namespace('blue')).rejects.toThrow(/blue/);
    });
  });

  test('tells which containers’ ends Docker has not taken', async () => {
    await settle(kernel.host, routed);
    await settle(await kernel.namespace('weft-4097'), segment);
    const ends = [...routed.links, ...segment.links].flatMap((link) =>
      link.kind === 'veth' && link.peer !== undefined ? [link.peer.name] : [],
    );
    expect(new Set(await kernel.containerEnds())).toEqual(new Set(ends));
    const [first = '', ...others] = ends;
    bench.takeEnd(first);
    expect(await kernel.containerEnds()).toEqual(others);
  });

  test('tells how the host reaches an address', async () => {
    await settle(kernel.host, routed);
    const asked = ['10.9.0.7', '10.77.0.70', 'fd77::41', '10.77.0.5', '10.77.0.9', '203.0.113.1'];
    expect(await kernel.route(asked)).toEqual([
      { link: 'eth0', linkMtu: 1500, source: '10.9.0.1' },
      { link: 'eth0', linkMtu: 1500, source: '10.9.0.1', via: '10.9.0.2' },
      { link: 'eth0', linkMtu: 1500, source: 'fd09::1', via: 'fd09::2' },
      { link: veth.name, linkMtu: 1500, source: '169.254.1.1' },
      undefined,
      undefined,
    ]);
    expect(await kernel.route([])).toEqual([]);
  });

  test('tells the host’s addresses and routes', async () => {
    await settle(kernel.host, routed);
    const linkMac = expect.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    expect(await kernel.addresses()).toEqual([
      { address: '10.9.0.1', link: 'eth0', linkMtu: 1500, linkMac },
      { address: 'fd09::1', link: 'eth0', linkMtu: 1500, linkMac },
    ]);
    expect(await kernel.linkLocal('eth0')).toMatch(/^fe80::[0-9a-f:]+$/);
    expect(await kernel.linkLocal('eth9')).toBeUndefined();
    expect(await kernel.mainRoutes()).toEqual(
      expect.arrayContaining([
        { destination: '10.9.0.0/24', link: 'eth0', own: false },
        { destination: 'fd09::/64', link: 'eth0', own: false },
        { destination: '10.77.0.64/26', link: 'eth0', via: '10.9.0.2', own: true },
      ]),
    );
  });

  describe('weft’s nftables table', () => {
    const filter = () => kernel.host.filters.inet;
    const elements = async (name: string) =>
      [...((await filter().read())?.sets.find((set) => set.name === name)?.elements ?? [])].toSorted();
    const senders = { name: 'senders', type: ['ifname', 'ether_addr', 'ipv4_addr'], interval: false };
    const ports = {
      name: 'ports',
      type: ['inet_proto', 'inet_service'],
      data: ['ipv4_addr', 'inet_service'],
      interval: false,
    };
    const dynamic: NftTable = {
      ...table,
      sets: [
        ...table.sets,
        { ...senders, elements: ['weft0ah . 02:57:0a:4d:00:02 . 10.77.0.2'] },
        { ...ports, elements: ['6 . 8080 : 10.77.0.2 . 80'] },
      ],
    };

    test('is written once, and left alone as long as it is the same', async () => {
      expect(await filter().read()).toBeUndefined();
      expect(await filter().write(() => table)).toBe(true);
      expect(await filter().write(() => table)).toBe(false);
    });

    test.each<[string, Partial<NftTable>]>([
      ['elements', { sets: table.sets.map((set) => ({ ...set, elements: [] })) }],
      [
        'a set',
        { sets: [...table.sets, { name: 'more', type: ['ifname'], interval: false, elements: ['weft0a'] }] },
      ],
      ['a map', { sets: [...table.sets, { ...ports, elements: ['17 . 53 : 10.77.0.2 . 53'] }] }],
      ['a rule', { chains: table.chains.map((chain) => ({ ...chain, rules: [...chain.rules, 'counter'] })) }],
      ['a chain', { chains: [...table.chains, { name: 'more', rules: [] }] }],
    ])('is written again when it differs in %s', async (_what, change) => {
      await filter().write(() => table);
      const changed = { ...table, ...change };
      expect(await filter().write(() => changed)).toBe(true);
      expect(await filter().write(() => changed)).toBe(false);
      expect(await filter().write(() => table)).toBe(true);
    });

    test('takes single elements, and gives them up, twice', async () => {
      await filter().write(() => dynamic);
      const added = [
        { set: senders, elements: ['weft0bh . 02:57:0a:4d:00:03 . 10.77.0.3'] },
        { set: ports, elements: ['17 . 53 : 10.77.0.3 . 53', '132 . 9 : 10.77.0.3 . 9'] },
      ];
      await filter().put(added);
      await filter().put(added);
      expect(await elements('senders')).toEqual([
        'weft0ah . 02:57:0a:4d:00:02 . 10.77.0.2',
        'weft0bh . 02:57:0a:4d:00:03 . 10.77.0.3',
      ]);
      expect(await elements('ports')).toEqual([
        '132 . 9 : 10.77.0.3 . 9',
        '17 . 53 : 10.77.0.3 . 53',
        '6 . 8080 : 10.77.0.2 . 80',
      ]);
      await filter().delete(added);
      await filter().delete(added);
      expect(await filter().write(() => dynamic)).toBe(false);
    });

    test('refuses elements of a set that is not there, and takes their deletion for done', async () => {
      const stray = [{ set: senders, elements: ['weft0bh . 02:57:0a:4d:00:03 . 10.77.0.3'] }];
      await filter().write(() => table);
      await expect(filter().put(stray)).rejects.toThrow(/senders/);
      await filter().delete(stray);
    });

    test('is one thing for IP packets and another for the frames of a bridge', async () => {
      const { bridge } = kernel.host.filters;
      await filter().write(() => table);
      expect(await bridge.read()).toBeUndefined();
      expect(await bridge.write(() => ({ ...table, family: 'bridge', chains: [] }))).toBe(true);
      await filter().remove();
      expect((await bridge.read())?.family).toBe('bridge');
    });

    test('is gone when it is removed, twice', async () => {
      await filter().write(() => table);
      await filter().remove();
      await filter().remove();
      expect(await filter().read()).toBeUndefined();
    });
  });

  test('lets weft’s traffic through Docker’s FORWARD chain, until told otherwise', async () => {
    expect(await kernel.hasForwardAccept()).toBe(false);
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: true });
    expect(await kernel.hasForwardAccept()).toBe(true);
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: false });
    await kernel.removeForwardAccept();
    await kernel.removeForwardAccept();
    expect(await kernel.hasForwardAccept()).toBe(false);
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: true });
  });

  test('tells that links get IPv6', () => {
    expect(kernel.hasIpv6()).toBe(true);
  });

  test('sends from an address that no host has, and hears who sent', async () => {
    const heard: unknown[] = [];
    const here = { address: '10.9.0.1', port: 9338 };
    const foreign = { address: '10.77.0.0', port: 9338 };
    const listener = kernel.openUdp(here, (bytes, from) => heard.push([bytes.toString(), from]));
    expect(() => kernel.openUdp(here, () => {})).toThrow(/9338.*EADDRINUSE/);
    const sender = kernel.openUdp(foreign, () => {});
    sender.send(Buffer.from('hello'), here);
    await vi.waitUntil(() => heard.length > 0, { timeout: 20_000 });
    expect(heard).toEqual([['hello', expect.objectContaining(foreign)]]);
    listener.close();
    sender.close();
  });

  test('turns routing on once', () => {
    expect(kernel.forwards([4, 6])).toBe(false);
    expect(kernel.enableForwarding([4, 6])).toEqual({ changed: true });
    expect(kernel.forwards([4, 6])).toBe(true);
    expect(kernel.enableForwarding([4, 6])).toEqual({ changed: false });
  });
}
