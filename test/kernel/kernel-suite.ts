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
    expect(await kernel.addresses()).toEqual([
      { address: '10.9.0.1', link: 'eth0', linkMtu: 1500 },
      { address: 'fd09::1', link: 'eth0', linkMtu: 1500 },
    ]);
    expect(await kernel.mainRoutes()).toEqual(
      expect.arrayContaining([
        { destination: '10.9.0.0/24', link: 'eth0', own: false },
        { destination: 'fd09::/64', link: 'eth0', own: false },
        { destination: '10.77.0.64/26', link: 'eth0', via: '10.9.0.2', own: true },
      ]),
    );
  });

  describe('weft’s nftables table', () => {
    test('is written once, and left alone as long as it is the same', async () => {
      expect(await kernel.readNftTable()).toBeUndefined();
      expect(await kernel.writeNftTable(table)).toEqual({ changed: true });
      expect(await kernel.writeNftTable(table)).toEqual({ changed: false });
    });

    test.each<[string, Partial<NftTable>]>([
      ['elements', { sets: table.sets.map((set) => ({ ...set, elements: [] })) }],
      [
        'a set',
        { sets: [...table.sets, { name: 'more', type: ['ifname'], interval: false, elements: ['weft0a'] }] },
      ],
      ['a rule', { chains: table.chains.map((chain) => ({ ...chain, rules: [...chain.rules, 'counter'] })) }],
      ['a chain', { chains: [...table.chains, { name: 'more', rules: [] }] }],
    ])('is written again when it differs in %s', async (_what, change) => {
      await kernel.writeNftTable(table);
      const changed = { ...table, ...change };
      expect(await kernel.writeNftTable(changed)).toEqual({ changed: true });
      expect(await kernel.writeNftTable(changed)).toEqual({ changed: false });
      expect(await kernel.writeNftTable(table)).toEqual({ changed: true });
    });

    test('is gone when it is deleted, twice', async () => {
      await kernel.writeNftTable(table);
      await kernel.deleteNftTable();
      await kernel.deleteNftTable();
      expect(await kernel.readNftTable()).toBeUndefined();
    });
  });

  test('lets weft’s traffic through Docker’s FORWARD chain, until told otherwise', async () => {
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: true });
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: false });
    await kernel.removeForwardAccept();
    await kernel.removeForwardAccept();
    expect(await kernel.ensureForwardAccept()).toEqual({ changed: true });
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
    expect(kernel.enableForwarding([4, 6])).toEqual({ changed: true });
    expect(kernel.enableForwarding([4, 6])).toEqual({ changed: false });
  });
}
