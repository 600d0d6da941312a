import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findUplink } from '../../../src/agent/underlay.ts';
import { afterUpheavals } from '../../../src/agent/upheaval.ts';
import type { HostChange } from '../../../src/kernel/kernel.ts';
import { FakeKernel } from '../../fakes/kernel.ts';

const eth0 = { name: 'eth0', mtu: 1500, addresses: ['10.9.0.1/24'] };
const jumbo = { name: 'eth1', mtu: 9000, addresses: ['10.8.0.1/24'] };
const near = { address: '10.9.0.1', link: 'eth0', mtu: 1500 };
const wide = { address: '10.8.0.1', link: 'eth1', mtu: 9000 };

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

  const onEth0 = (change: HostChange) => change.kind !== 'link' || change.name === 'eth0';

  test('is acted upon once it is over, and once', async () => {
    const kernel = new FakeKernel();
    const task = vi.fn();
    afterUpheavals(kernel, onEth0, task);
    kernel.announce({ kind: 'address' });
    kernel.announce({ kind: 'route' });
    kernel.announce({ kind: 'link', name: 'eth0' });
    expect(task).not.toHaveBeenCalled();
    await vi.runAllTimersAsync();
    expect(task).toHaveBeenCalledTimes(1);
    kernel.announce({ kind: 'route' });
    await vi.runAllTimersAsync();
    expect(task).toHaveBeenCalledTimes(2);
  });

  test('is none where it bears on nothing, or when nobody asks any more', async () => {
    const kernel = new FakeKernel();
    const task = vi.fn();
    const end = afterUpheavals(kernel, onEth0, task);
    kernel.announce({ kind: 'link', name: 'veth1' });
    await vi.runAllTimersAsync();
    kernel.announce({ kind: 'route' });
    end();
    kernel.announce({ kind: 'route' });
    await vi.runAllTimersAsync();
    expect(task).not.toHaveBeenCalled();
  });
});
