import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findUplink } from '../../../src/agent/underlay.ts';
import { watchGround } from '../../../src/agent/upheaval.ts';
import type { HostChange } from '../../../src/kernel/kernel.ts';
import { FakeKernel } from '../../fakes/kernel.ts';

const mac = '02:00:00:00:00:01';
const eth0 = { name: 'eth0', mtu: 1500, mac, addresses: ['10.9.0.1/24'] };
const jumbo = { name: 'eth1', mtu: 9000, mac, addresses: ['10.8.0.1/24'] };
const near = { address: '10.9.0.1', link: 'eth0', mac, mtu: 1500 };
const wide = { address: '10.8.0.1', link: 'eth1', mac, mtu: 9000 };

const kernel = new FakeKernel([
  eth0,
  { name: 'eth1', mtu: 9000, mac, addresses: ['10.10.0.1/24', 'fd10::1/64'] },
  { name: 'eth2', mtu: 1400, mac, addresses: ['192.0.2.2/24'] },
]);

/** Of the kernel, what the search asks. */
type Asked = Pick<FakeKernel, 'route' | 'addresses' | 'linkLocal'>;

describe('a host is known by', () => {
  test.each([
    ['the address from which it reaches the store', ['http://10.9.0.7:2379'], '10.9.0.1', 'eth0', 1500],
    [
      'that of the first store that it can reach',
      ['http://10.66.0.7:1', 'http://10.9.0.7:2'],
      '10.9.0.1',
      'eth0',
      1500,
    ],
    ['the one towards everywhere, without a store to reach', [], '192.0.2.2', 'eth2', 1400],
    [
      'the same, when the store’s name says nothing now',
      ['http://store.invalid:2379'],
      '192.0.2.2',
      'eth2',
      1400,
    ],
  ])('%s', async (_what, endpoints, address, link, mtu) => {
    expect(await findUplink(kernel, { endpoints })).toEqual({ address, link, mac, mtu });
  });

  test.each([
    ['http://10.10.0.7:2379', '10.10.0.1'],
    ['https://[fd10::7]:2379', 'fd10::1'],
  ])('an address of the family of the store %s, and the link-local one beside it', async (store, address) => {
    const found = await findUplink(kernel, { endpoints: [store] });
    expect(found).toEqual({ address, link: 'eth1', mac, mtu: 9000, linkLocal: 'fe80::9' });
  });

  test('the address of the settings, before all others', async () => {
    const endpoints = ['http://10.9.0.7:2379'];
    expect(await findUplink(kernel, { endpoints, wished: 'fd10::1' })).toEqual({
      address: 'fd10::1',
      link: 'eth1',
      mac,
      mtu: 9000,
      linkLocal: 'fe80::9',
    });
  });

  test('an address that lasts, where the kernel would send from a temporary one', async () => {
    const hiding: Asked = {
      addresses: () => kernel.addresses(),
      linkLocal: (link) => kernel.linkLocal(link),
      route: async (destinations) =>
        destinations.map(() => ({ link: 'eth1', linkMtu: 9000, source: 'fd10::5a5a' })),
    };
    const found = await findUplink(hiding, { endpoints: ['https://[fd10::7]:2379'] });
    expect(found.address).toBe('fd10::1');
  });

  test('its first address, when it has no way anywhere', async () => {
    const alone = new FakeKernel([eth0]);
    expect(await findUplink(alone, { endpoints: [] })).toEqual(near);
  });
});

test('a store on this very host says nothing of the uplink', async () => {
  const local: Asked = {
    addresses: () => kernel.addresses(),
    linkLocal: (link) => kernel.linkLocal(link),
    route: async (destinations) =>
      destinations.map((_, index) =>
        index === 0
          ? { link: 'lo', linkMtu: 65_536, source: '127.0.0.1' }
          : { link: 'eth0', linkMtu: 1500, source: '10.9.0.1' },
      ),
  };
  const found = await findUplink(local, { endpoints: ['http://127.0.0.1:2379'] });
  expect(found).toEqual(near);
});

test('an address of the settings that no link has is refused by name', async () => {
  const search = findUplink(kernel, { endpoints: [], wished: '10.9.0.9' });
  await expect(search).rejects.toThrow('no link of this host has the address 10.9.0.9 of WEFT_ADDRESS');
});

test('a host without an address is told what to set', async () => {
  const search = findUplink(new FakeKernel([]), { endpoints: [] });
  await expect(search).rejects.toThrow('set WEFT_ADDRESS');
});

describe('the uplink', () => {
  test('is the link towards the store', async () => {
    const kernel = new FakeKernel([jumbo, eth0]);
    expect(await findUplink(kernel, { endpoints: ['http://10.9.0.200:2379'] })).toEqual(near);
    expect(await findUplink(kernel, { endpoints: ['http://10.8.0.200:2379'] })).toEqual(wide);
  });

  test('is the one of the wished address, or none', async () => {
    const kernel = new FakeKernel([eth0, jumbo]);
    const endpoints = ['http://10.9.0.200:2379'];
    expect(await findUplink(kernel, { wished: '10.8.0.1', endpoints })).toEqual(wide);
    await expect(findUplink(kernel, { wished: '10.7.0.1', endpoints })).rejects.toThrow('WEFT_ADDRESS');
  });

  test('is any at first where no route tells, but later none other than it was', async () => {
    const kernel = new FakeKernel([eth0, jumbo]);
    const endpoints = ['http://10.66.0.1:2379'];
    expect(await findUplink(kernel, { endpoints })).toEqual(near);
    expect(await findUplink(kernel, { endpoints, last: '10.8.0.1' })).toEqual(wide);
    await expect(findUplink(kernel, { endpoints, last: '10.7.0.1' })).rejects.toThrow('no address');
  });
});

describe('an upheaval of the host’s network', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  test('is acted upon once it is over, and once', async () => {
    const kernel = new FakeKernel();
    const unsettled = vi.fn();
    watchGround(kernel, (link) => link === 'eth0', { unsettled, robbed: () => {} });
    kernel.announce({ kind: 'address' });
    kernel.announce({ kind: 'route' });
    kernel.announce({ kind: 'link', name: 'eth0' });
    expect(unsettled).not.toHaveBeenCalled();
    await vi.runAllTimersAsync();
    expect(unsettled).toHaveBeenCalledTimes(1);
    kernel.announce({ kind: 'route' });
    await vi.runAllTimersAsync();
    expect(unsettled).toHaveBeenCalledTimes(2);
  });

  test('is not when nobody asks any more', async () => {
    const kernel = new FakeKernel();
    const unsettled = vi.fn();
    const end = watchGround(kernel, () => true, { unsettled, robbed: () => {} });
    kernel.announce({ kind: 'route' });
    end();
    await vi.runAllTimersAsync();
    expect(unsettled).not.toHaveBeenCalled();
  });

  test.each<[HostChange, string[]]>([
    [{ kind: 'own route' }, ['robbed: host']],
    [{ kind: 'own filter' }, ['robbed: filter']],
    [{ kind: 'own segment', namespace: 'weft-1' }, ['robbed: weft-1']],
    [{ kind: 'route' }, ['unsettled']],
    [{ kind: 'link', name: 'eth0' }, ['unsettled']],
    [{ kind: 'link', name: 'eth1' }, []],
    [{ kind: 'unknown' }, ['unsettled', 'robbed: host', 'robbed: filter']],
  ])('by %j: %j', async (change, expected) => {
    const kernel = new FakeKernel();
    const told: string[] = [];
    const end = watchGround(kernel, (link) => link === 'eth0', {
      unsettled: () => told.push('unsettled'),
      robbed: (scope) => told.push(`robbed: ${scope}`),
    });
    kernel.announce(change);
    await vi.runAllTimersAsync();
    expect(told).toEqual(expected);
    end();
    kernel.announce(change);
    await vi.runAllTimersAsync();
    expect(told).toEqual(expected);
  });
});
