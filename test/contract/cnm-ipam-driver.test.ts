import { expect, test, vi } from 'vitest';
import { WeftError } from '../../src/errors.ts';
import { serve } from './cnm-server.ts';
import { hostHeaders } from './docker-client.ts';

test.each([false, true])('needs the MAC only if that is wanted (%s), and no replay', async (wantsMac) => {
  const { docker } = await serve({ wantsMac });
  expect((await docker.call('IpamDriver.GetCapabilities')).body).toEqual({
    RequiresMACAddress: wantsMac,
    RequiresRequestReplay: false,
  });
});

test('passes the MAC on', async () => {
  const { docker, calls } = await serve();
  const { body } = await docker.call('IpamDriver.RequestPool', { Pool: '10.88.0.0/24' });
  const mac = '02:42:0a:00:00:07';
  await docker.call('IpamDriver.RequestAddress', {
    PoolID: body.PoolID,
    Options: { 'com.docker.network.endpoint.macaddress': mac },
  });
  expect(calls.made.at(-1)?.request).toEqual({ poolId: body.PoolID, purpose: 'other', mac });
});

test('has two different address spaces, so that Docker compares pools with the host’s routes', async () => {
  const { docker } = await serve();
  const { body } = await docker.call('IpamDriver.GetDefaultAddressSpaces');
  expect(body.LocalDefaultAddressSpace).toMatch(/./);
  expect(body.GlobalDefaultAddressSpace).toMatch(/./);
  expect(body.LocalDefaultAddressSpace).not.toBe(body.GlobalDefaultAddressSpace);
});

test.each([
  ['20.10', {}],
  ['26', null],
  ['28', {}],
] as const)('Docker %s gets a pool, a gateway, addresses, and gives them back', async (version, Options) => {
  const { docker, calls } = await serve({ host: hostHeaders[version] });
  const pool = await docker.call('IpamDriver.RequestPool', {
    AddressSpace: 'weft-local',
    Pool: '10.88.0.0/24',
    SubPool: '',
    Options,
    V6: false,
  });
  const PoolID = String(pool.body.PoolID);
  expect(pool.body).toEqual({ PoolID, Pool: '10.88.0.0/24' });
  expect(calls.made[0]?.request).toEqual({ pool: '10.88.0.0/24', options: {}, family: 4 });

  const gateway = await docker.call('IpamDriver.RequestAddress', {
    PoolID,
    Address: '',
    Options: { RequestAddressType: 'com.docker.network.gateway' },
  });
  expect(gateway.body).toEqual({ Address: '10.88.0.1/24' });
  expect(calls.made.at(-1)?.request).toEqual({ poolId: PoolID, purpose: 'gateway' });

  const chosen = await docker.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options: null });
  expect(chosen.body).toEqual({ Address: '10.88.0.2/24' });
  expect(calls.made.at(-1)?.request).toEqual({ poolId: PoolID, purpose: 'other' });

  const explicit = await docker.call('IpamDriver.RequestAddress', {
    PoolID,
    Address: '10.88.0.77',
    Options: {},
  });
  expect(explicit.body).toEqual({ Address: '10.88.0.77/24' });
  expect(calls.made.at(-1)?.request).toEqual({ poolId: PoolID, address: '10.88.0.77', purpose: 'other' });

  for (const Address of ['10.88.0.77', '10.88.0.77', '10.88.0.2', '10.88.0.1']) {
    expect((await docker.call('IpamDriver.ReleaseAddress', { PoolID, Address })).body).toEqual({});
  }
  expect(calls.pools.get(PoolID)?.inUse.size).toBe(0);
  for (const _ of [1, 2]) expect((await docker.call('IpamDriver.ReleasePool', { PoolID })).body).toEqual({});
  expect(calls.pools.size).toBe(0);
});

test('a pool may be of weft’s choice, IPv6, narrowed to a range and tied to a network by options', async () => {
  const { docker, calls } = await serve();
  await docker.call('IpamDriver.RequestPool', {
    AddressSpace: 'weft-local',
    Pool: '',
    SubPool: '',
    V6: true,
  });
  expect(calls.made.at(-1)?.request).toEqual({ options: {}, family: 6 });
  await docker.call('IpamDriver.RequestPool', {
    AddressSpace: 'weft-local',
    Pool: '10.88.0.0/16',
    SubPool: '10.88.4.0/24',
    Options: { 'weft.network': 'blue' },
    V6: false,
  });
  expect(calls.made.at(-1)?.request).toEqual({
    pool: '10.88.0.0/16',
    range: '10.88.4.0/24',
    options: { 'weft.network': 'blue' },
    family: 4,
  });
});

test('many at once get different pools and addresses', async () => {
  const { docker } = await serve();
  const many = Array.from({ length: 20 });
  const pools = await Promise.all(many.map(() => docker.call('IpamDriver.RequestPool', { Pool: '' })));
  expect(new Set(pools.map(({ body }) => body.PoolID)).size).toBe(20);
  const PoolID = pools[0]?.body.PoolID;
  const addresses = await Promise.all(many.map(() => docker.call('IpamDriver.RequestAddress', { PoolID })));
  expect(new Set(addresses.map(({ body }) => body.Address)).size).toBe(20);
});

test('a refusal reaches Docker under the key that its IPAM client reads', async () => {
  const { docker, calls } = await serve();
  calls.before = () => {
    throw new WeftError('exhausted', 'pool 10.88.0.0/24 has no address left');
  };
  const { status, body } = await docker.call('IpamDriver.RequestAddress', { PoolID: 'p' });
  expect(status).toBe(200);
  expect(body.Error).toBe('pool 10.88.0.0/24 has no address left');
});

test.each([
  ['a task', { 'com.docker.network.ipam.serial': 'true' }, 'task'],
  [
    'a gateway',
    { 'com.docker.network.ipam.serial': 'true', RequestAddressType: 'com.docker.network.gateway' },
    'gateway',
  ],
])('swarm’s manager asks for the address of %s', async (_, Options, purpose) => {
  const { docker, calls } = await serve();
  const { body } = await docker.call('IpamDriver.RequestPool', {
    AddressSpace: 'weft-global',
    Pool: '10.88.0.0/24',
  });
  const PoolID = String(body.PoolID);
  await docker.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options });
  expect(calls.made.at(-1)?.request).toEqual({ poolId: PoolID, purpose });
});

test('a subnet of a swarm that was granted too late is not taken back: its managers share it', async () => {
  const { docker, calls } = await serve({ deadlineMs: 50 });
  const gate = Promise.withResolvers<void>();
  calls.before = () => gate.promise;
  const request = { AddressSpace: 'weft-global', Pool: '10.88.0.0/24' };
  expect((await docker.call('IpamDriver.RequestPool', request)).body.Error).toContain('did not finish');
  gate.resolve();
  await vi.waitFor(() => expect(calls.pools.size).toBe(1), 10_000);
  calls.before = () => {};
  await docker.call('IpamDriver.RequestPool', { Pool: '10.89.0.0/24' });
  expect(calls.pools.size).toBe(2);
});

test('an explicit address or a gateway that came too late is not taken back: others may hold it too', async () => {
  const { docker, calls } = await serve({ deadlineMs: 50 });
  calls.pools.set('p', { cidr: '10.88.0.0/24', inUse: new Set() });
  for (const body of [
    { PoolID: 'p', Address: '10.88.0.7' },
    { PoolID: 'p', Options: { RequestAddressType: 'com.docker.network.gateway' } },
  ]) {
    const gate = Promise.withResolvers<void>();
    calls.before = ({ name }) => (name === 'requestAddress' ? gate.promise : undefined);
    expect((await docker.call('IpamDriver.RequestAddress', body)).body.Error).toContain('did not finish');
    gate.resolve();
    // Once a later call about the pool has had its turn, nothing of the late one is still to come.
    calls.before = () => {};
    const later = { PoolID: 'p', Address: '10.88.0.200' };
    await docker.call('IpamDriver.ReleaseAddress', later);
    await vi.waitFor(
      () => expect(calls.made.at(-1)?.request).toEqual({ poolId: 'p', address: '10.88.0.200' }),
      10_000,
    );
  }
  expect(calls.pools.get('p')?.inUse).toEqual(new Set(['10.88.0.7', '10.88.0.1']));
});
