import { describe, expect, test, vi } from 'vitest';
import { network, withArguments } from './cnm-bodies.ts';
import { serve } from './cnm-server.ts';

describe('calls', () => {
  test('about different endpoints of a network run side by side, about the same one in order', async () => {
    const { docker, calls } = await serve();
    await docker.call('NetworkDriver.CreateNetwork', withArguments['NetworkDriver.CreateNetwork']);
    const first = Promise.withResolvers<void>();
    calls.before = ({ request }) => (JSON.stringify(request).includes('"a"') ? first.promise : undefined);
    const create = (EndpointID: string) =>
      docker.call('NetworkDriver.CreateEndpoint', { NetworkID: network, EndpointID });
    const held = create('a');
    const removed = docker.call('NetworkDriver.DeleteEndpoint', { NetworkID: network, EndpointID: 'a' });
    expect((await create('b')).status).toBe(200);
    expect([...calls.endpoints.keys()]).toEqual(['b']);
    first.resolve();
    expect((await held).body).toEqual({ Interface: { MacAddress: '02:77:00:00:00:01' } });
    expect((await removed).body).toEqual({});
    expect([...calls.endpoints.keys()]).toEqual(['b']);
  });

  test.each([
    'NetworkDriver.CreateNetwork',
    'NetworkDriver.CreateEndpoint',
    'NetworkDriver.Join',
    'NetworkDriver.Leave',
    'NetworkDriver.DeleteEndpoint',
    'IpamDriver.ReleasePool',
  ] as const)('%s five times at once gives five equal answers', async (method) => {
    const { docker } = await serve();
    if (method !== 'NetworkDriver.CreateNetwork') {
      await docker.call('NetworkDriver.CreateNetwork', withArguments['NetworkDriver.CreateNetwork']);
      if (method !== 'NetworkDriver.CreateEndpoint') {
        await docker.call('NetworkDriver.CreateEndpoint', withArguments['NetworkDriver.CreateEndpoint']);
      }
    }
    const replies = await Promise.all(
      Array.from({ length: 5 }, () => docker.call(method, withArguments[method])),
    );
    const [one] = replies;
    expect(one?.status).toBe(200);
    expect(one?.body).not.toHaveProperty('Err');
    for (const reply of replies) expect(reply.body).toEqual(one?.body);
  });

  test('with an empty body do not disturb the one they repeat', async () => {
    const { docker, calls } = await serve();
    const gate = Promise.withResolvers<void>();
    calls.before = () => gate.promise;
    const call = docker.call('NetworkDriver.CreateNetwork', withArguments['NetworkDriver.CreateNetwork']);
    for (let copy = 0; copy < 3; copy += 1) {
      expect((await docker.call('NetworkDriver.CreateNetwork')).status).toBe(400);
    }
    gate.resolve();
    expect((await call).body).toEqual({});
    expect(calls.made).toHaveLength(1);
  });
});

describe('a call that takes too long', () => {
  test('is answered with an error that names it, and goes on', async () => {
    const { docker, calls, lines } = await serve({ deadlineMs: 50 });
    const gate = Promise.withResolvers<void>();
    calls.before = () => gate.promise;
    const { status, body } = await docker.call('NetworkDriver.DeleteNetwork', { NetworkID: network });
    expect(status).toBe(200);
    expect(body.Error).toBe(body.Err);
    expect(body.Err).toMatch(
      /^weft did not finish NetworkDriver.DeleteNetwork for network 0f0f0f0f0f0f within 0.05 s, /,
    );
    expect(calls.made).toEqual([]);
    gate.resolve();
    await vi.waitFor(() => expect(lines.at(-1)?.message).toBe('call ended after its deadline'), 10_000);
    expect(calls.made).toEqual([{ name: 'deleteNetwork', request: network }]);
  });

  test('holds back the next one about its object', async () => {
    const { docker, calls } = await serve({ deadlineMs: 50 });
    const gate = Promise.withResolvers<void>();
    calls.before = () => gate.promise;
    const reply = await docker.call('NetworkDriver.Leave', withArguments['NetworkDriver.Leave']);
    expect(reply.body.Err).toContain('did not finish');
    const next = await docker.call(
      'NetworkDriver.DeleteEndpoint',
      withArguments['NetworkDriver.DeleteEndpoint'],
    );
    expect(next.body.Err).toContain('did not finish');
    gate.resolve();
    await vi.waitFor(
      () => expect(calls.made.map(({ name }) => name)).toEqual(['leave', 'deleteEndpoint']),
      10_000,
    );
  });

  test.each([
    ['NetworkDriver.CreateNetwork', { NetworkID: 'another' }, ['createNetwork', 'deleteNetwork']],
    [
      'NetworkDriver.CreateEndpoint',
      { NetworkID: network, EndpointID: 'e' },
      ['createEndpoint', 'deleteEndpoint'],
    ],
    ['IpamDriver.RequestPool', { Pool: '' }, ['requestPool', 'releasePool']],
    ['IpamDriver.RequestAddress', { PoolID: '1@10.88.0.0/24' }, ['requestAddress', 'releaseAddress']],
  ] as const)('%s is taken back, for Docker believes that nothing was made', async (method, body, names) => {
    const { docker, calls } = await serve({ deadlineMs: 50 });
    await calls.createNetwork({ id: network, options: {}, internal: false, pools: [] });
    await calls.requestPool({ pool: '10.88.0.0/24', options: {}, family: 4 });
    calls.made.length = 0;
    const state = () => structuredClone([calls.networks, calls.endpoints, calls.pools]);
    const before = state();
    const gate = Promise.withResolvers<void>();
    calls.before = ({ name }) => (name === names[0] ? gate.promise : undefined);
    expect((await docker.call(method, body)).body.Err).toContain('did not finish');
    gate.resolve();
    await vi.waitFor(() => expect(calls.made.map(({ name }) => name)).toEqual(names), 10_000);
    await vi.waitFor(() => expect(state()).toEqual(before), 10_000);
  });
});
