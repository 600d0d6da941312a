import { describe, expect, test } from 'vitest';
import { findUplink } from '../../../src/agent/underlay.ts';
import type { PathTo } from '../../../src/kernel/kernel.ts';
import { FakeKernel, type Uplink } from '../../fakes/kernel.ts';

const eth0: Uplink = { name: 'eth0', mtu: 9000, addresses: ['10.9.0.1/24', 'fd09::1/64'] };
const eth1: Uplink = { name: 'eth1', mtu: 1500, addresses: ['10.8.0.1/24', 'fd08::1/64'] };
const kernel = new FakeKernel([eth0, eth1]);

describe('a host is known by the address', () => {
  test.each([
    ['from which it reaches the store', ['http://10.8.0.9:2379'], '10.8.0.1', 1500],
    ['from which it reaches the store over IPv6', ['http://[fd08::9]:2379'], 'fd08::1', 1500],
    [
      'of the first store that it can reach',
      ['http://[fd07::9]:2379', 'http://[fd09::9]:2379'],
      'fd09::1',
      9000,
    ],
    ['of its first link, when nothing else is known', [], '10.9.0.1', 9000],
  ])('%s', async (_, endpoints, address, mtu) => {
    expect(await findUplink(kernel, { endpoints })).toEqual({ address, mtu, linkLocal: 'fe80::9' });
  });

  test.each(['10.8.0.1', 'fd08::1'])('that the settings give: %s', async (wished) => {
    const uplink = await findUplink(kernel, { wished, endpoints: ['http://10.9.0.9:2379'] });
    expect(uplink).toEqual({ address: wished, mtu: 1500, linkLocal: 'fe80::9' });
  });

  test('that lasts, when the kernel would send from a temporary one', async () => {
    const path: PathTo = { link: 'eth1', linkMtu: 1500, source: 'fd08::5a5a' };
    const hiding = {
      route: async () => [path],
      addresses: () => kernel.addresses(),
      linkLocal: (link: string) => kernel.linkLocal(link),
    };
    expect(await findUplink(hiding, { endpoints: ['http://[fd08::9]:2379'] })).toMatchObject({
      address: 'fd08::1',
    });
  });
});

test('a host without IPv6 on its uplink has no link-local address', async () => {
  const withoutIpv6 = {
    route: kernel.route.bind(kernel),
    addresses: () => kernel.addresses(),
    linkLocal: async () => undefined,
  };
  expect(await findUplink(withoutIpv6, { endpoints: [] })).toEqual({ address: '10.9.0.1', mtu: 9000 });
});

test('an address of the settings that the host does not have is refused by name', async () => {
  await expect(findUplink(kernel, { wished: 'fd07::1', endpoints: [] })).rejects.toThrow(
    'no link of this host has the address fd07::1 of WEFT_ADDRESS',
  );
});
