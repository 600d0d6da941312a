import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { WeftError } from '../../src/errors.ts';
import { endpoint, network, withArguments } from './cnm-bodies.ts';
import { serve } from './cnm-server.ts';
import { hostHeaders } from './docker-client.ts';

const methodsWithArguments = Object.keys(withArguments);
const methodsWithout = [
  'Plugin.Activate',
  'NetworkDriver.GetCapabilities',
  'IpamDriver.GetCapabilities',
  'IpamDriver.GetDefaultAddressSpaces',
];

describe('a request as dockerd sends it', () => {
  test.each(Object.entries(hostHeaders))('is answered in Docker’s media type: %s', async (_version, host) => {
    const { docker } = await serve({ host });
    const reply = await docker.call(
      'NetworkDriver.CreateNetwork',
      withArguments['NetworkDriver.CreateNetwork'],
    );
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/vnd.docker.plugins.v1.2+json');
    expect(reply.body).toEqual({});
  });

  test.each(methodsWithout)('%s needs no body', async (method) => {
    const { docker } = await serve();
    const { status, body } = await docker.call(method);
    expect(status).toBe(200);
    expect(body).not.toHaveProperty('Err');
    expect(Object.keys(body)).not.toHaveLength(0);
  });

  test('is answered on the connection it came by, which then stays open for the next', async () => {
    const { sockets } = await serve();
    const socket = connect(sockets[0] ?? '');
    const replies: string[] = [];
    socket.on('data', (data) => replies.push(data.toString()));
    const post = 'POST /NetworkDriver.GetCapabilities HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n';
    socket.write(post);
    await vi.waitFor(() => expect(replies.join('')).toMatch(/"Scope"/), 10_000);
    expect(replies.join('')).not.toMatch(/^connection: close/im);
    expect(replies.join('')).not.toMatch(/^keep-alive: timeout/im);
    socket.write(post);
    await vi.waitFor(() => expect(replies.join('').match(/HTTP\/1.1 200/g)).toHaveLength(2), 10_000);
    socket.destroy();
  });

  test('may have fields that nobody knows, and null wherever Go has a zero', async () => {
    const { docker, calls } = await serve();
    const reply = await docker.call('NetworkDriver.CreateNetwork', {
      NetworkID: network,
      Options: null,
      IPv4Data: null,
      IPv6Data: null,
      FromTheFuture: { a: [1] },
    });
    expect(reply.body).toEqual({});
    expect(calls.networks.get(network)).toEqual({ id: network, options: {}, internal: false, pools: [] });
  });

  test('may hold any text', async () => {
    const { docker, calls } = await serve();
    const label = 'größe 網路 👩‍🚀 \u0000 "quoted" \\ \ud800';
    const generic = { [label]: label, __proto__x: '1', constructor: '2' };
    await docker.call('NetworkDriver.CreateNetwork', {
      NetworkID: network,
      Options: { 'com.docker.network.generic': generic },
    });
    expect(calls.networks.get(network)?.options).toEqual(JSON.parse(JSON.stringify(generic)));
  });
});

describe('a request that cannot be understood', () => {
  const refused = async (method: string, body: object | string) => {
    const { docker, calls } = await serve();
    const reply = await docker.call(method, body);
    expect(calls.made).toEqual([]);
    expect(reply.body.Error).toBe(reply.body.Err);
    return reply;
  };

  test.each(methodsWithArguments)('%s without a body, as Docker repeats a broken call', async (method) => {
    const { status, body } = await refused(method, '');
    expect(status).toBe(400);
    expect(body.Err).toContain(`${method} came with an empty body`);
  });

  test.each(methodsWithArguments)('%s cut short', async (method) => {
    const { status, body } = await refused(method, '{"NetworkID":"0f0f","Opti');
    expect(status).toBe(400);
    expect(body.Err).toBe(`${method} was not understood: its body of 25 bytes is not JSON`);
  });

  test.each(methodsWithArguments)('%s that is no object', async (method) => {
    for (const body of ['null', '[]', '"x"', '17', 'true']) {
      const { status, body: answer } = await refused(method, body);
      expect(status).toBe(400);
      expect(answer.Err).toBe(`${method} was not understood: must be object`);
    }
  });

  const needsFields = methodsWithArguments.filter((method) => !/Discover|RequestPool/.test(method));
  test.each(needsFields)('%s with an empty object names what is missing', async (method) => {
    const { status, body } = await refused(method, {});
    expect(status).toBe(400);
    expect(body.Err).toMatch(/must have required propert.* (NetworkID|PoolID)/);
  });

  test.each<[string, object, string]>([
    ['NetworkDriver.CreateNetwork', { NetworkID: 1 }, 'must be string in NetworkID'],
    ['NetworkDriver.CreateNetwork', { NetworkID: '../../etc' }, 'must match pattern'],
    ['NetworkDriver.CreateNetwork', { NetworkID: network, IPv4Data: {} }, 'must be array in IPv4Data'],
    [
      'NetworkDriver.CreateNetwork',
      { NetworkID: network, IPv4Data: [{ Pool: 7 }] },
      'must be string in IPv4Data.0.Pool',
    ],
    [
      'NetworkDriver.CreateNetwork',
      { NetworkID: network, Options: { 'com.docker.network.generic': { 'weft.vni': 7 } } },
      'must be string in Options.com.docker.network.generic.weft.vni',
    ],
    [
      'NetworkDriver.CreateEndpoint',
      { NetworkID: network, EndpointID: endpoint, Interface: { Address: 5 } },
      'must be string in Interface.Address',
    ],
    ['IpamDriver.RequestPool', { V6: 'yes' }, 'must be boolean in V6'],
    ['IpamDriver.RequestAddress', { PoolID: 'p', Options: [] }, 'must be object in Options'],
  ])('%s with %j', async (method, request, sentence) => {
    const { status, body } = await refused(method, request);
    expect(status).toBe(400);
    expect(body.Err).toContain(`${method} was not understood: ${sentence}`);
  });

  test('with its values is not repeated in the answer or the log, for options may hold secrets', async () => {
    const { docker, lines } = await serve();
    const replies = [
      await docker.call('NetworkDriver.CreateNetwork', '{"NetworkID": hunter2}'),
      await docker.call('NetworkDriver.CreateNetwork', {
        NetworkID: network,
        Options: { 'com.docker.network.generic': { password: ['hunter2'] } },
      }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([400, 400]);
    expect(JSON.stringify([replies, lines])).not.toContain('hunter2');
  });

  test('nested 200,000 deep', async () => {
    const depth = 200_000;
    const deep = '['.repeat(depth) + ']'.repeat(depth);
    const { docker } = await serve();
    const ignored = await docker.call(
      'NetworkDriver.DeleteNetwork',
      `{"NetworkID":"${network}","x":${deep}}`,
    );
    expect(ignored).toMatchObject({ status: 200, body: {} });
    const reply = await docker.call('NetworkDriver.CreateNetwork', `{"NetworkID":"n","Options":${deep}}`);
    expect(reply).toMatchObject({ status: 400, body: { Err: expect.stringContaining('must be object') } });
  });

  test('of 10 MB', async () => {
    const { status, body } = await refused('NetworkDriver.CreateNetwork', 'x'.repeat(10_000_000));
    expect(status).toBe(413);
    expect(body.Err).toBe('NetworkDriver.CreateNetwork was refused: its body is larger than 1048576 bytes');
  });

  test('for a method that weft does not have', async () => {
    for (const method of ['NetworkDriver.Levitate', 'VolumeDriver.List', '', 'NetworkDriver.Join/x']) {
      const { status, body } = await refused(method, {});
      expect(status).toBe(404);
      expect(body.Err).toBe(`weft has no method ${method}`);
    }
  });

  test('because its connection broke off is not carried out', async () => {
    const { docker, calls, lines, sockets } = await serve();
    const socket = connect(sockets[0] ?? '');
    const body = JSON.stringify(withArguments['NetworkDriver.CreateNetwork']);
    socket.end(`POST /NetworkDriver.CreateNetwork HTTP/1.1\r\nHost: \r\nContent-Length: 999\r\n\r\n${body}`);
    await vi.waitFor(() => expect(lines).toHaveLength(1), 10_000);
    expect(lines[0]).toMatchObject({ level: 'warn', fields: { method: 'NetworkDriver.CreateNetwork' } });
    expect(calls.made).toEqual([]);
    expect((await docker.call('Plugin.Activate')).status).toBe(200);
  });

  test('leaves the server fit for the next', async () => {
    const { docker } = await serve();
    await docker.call('NetworkDriver.CreateNetwork', 'x'.repeat(2_000_000));
    await docker.call('NetworkDriver.CreateNetwork', '{');
    expect((await docker.call('Plugin.Activate')).status).toBe(200);
  });
});

describe('an error', () => {
  test('that a use case throws is an answer: its sentence under both keys, with status 200', async () => {
    const { docker, calls, lines } = await serve();
    calls.before = () => {
      throw new WeftError('unavailable', 'etcd cannot be reached', { cause: new Error('ECONNREFUSED') });
    };
    for (const [method, body] of Object.entries(withArguments)) {
      if (/Allocate|Free|External|Discover/.test(method)) continue;
      const reply = await docker.call(method, body);
      expect(reply.status).toBe(200);
      expect(reply.body).toEqual({ Err: 'etcd cannot be reached', Error: 'etcd cannot be reached' });
      expect(lines.at(-1)).toMatchObject({
        level: 'warn',
        fields: { method, error: 'etcd cannot be reached: ECONNREFUSED' },
      });
    }
  });

  test('that nobody foresaw says so, and is logged with its stack', async () => {
    const { docker, calls, lines } = await serve();
    calls.before = () => {
      throw new TypeError('x is not a function');
    };
    const reply = await docker.call('NetworkDriver.Leave', withArguments['NetworkDriver.Leave']);
    expect(reply.status).toBe(500);
    expect(reply.body.Err).toBe(
      'NetworkDriver.Leave for endpoint e1e1e1e1e1e1 of network 0f0f0f0f0f0f failed by a defect of weft, ' +
        'please report it with the log: x is not a function',
    );
    expect(reply.body.Error).toBe(reply.body.Err);
    expect(lines.at(-1)?.fields).toMatchObject({ network, endpoint, stack: expect.stringContaining('at ') });
  });
});

test('every call is logged with its objects and its time, and no body', async () => {
  const { docker, calls, lines } = await serve();
  let tookMs = 0;
  calls.before = async () => {
    const startMs = performance.now();
    await setTimeout(10);
    tookMs = performance.now() - startMs;
  };
  await docker.call('NetworkDriver.CreateNetwork', {
    NetworkID: network,
    Options: { 'com.docker.network.generic': { secret: 'hunter2' } },
  });
  expect(lines).toEqual([
    {
      level: 'debug',
      message: 'answered',
      fields: { method: 'NetworkDriver.CreateNetwork', network, ms: expect.any(Number) },
    },
  ]);
  expect(lines[0]?.fields.ms).toBeGreaterThanOrEqual(Math.floor(tookMs));
});
