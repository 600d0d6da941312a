/** Clients that dockerd is not: many at once, slow ones, and such as do not speak HTTP. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { network, withArguments } from './cnm-bodies.ts';
import { serve } from './cnm-server.ts';
import { DockerClient } from './docker-client.ts';

async function open(path: string | undefined): Promise<Socket> {
  const socket = connect(path ?? '');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

const head = (length: number) =>
  `POST /NetworkDriver.CreateNetwork HTTP/1.1\r\nHost: \r\nContent-Length: ${length}\r\n\r\n`;

test('a thousand open connections do not keep the next from being answered', async () => {
  const { calls, docker, sockets } = await serve();
  const connections = await Promise.all(Array.from({ length: 1_000 }, () => open(sockets[0])));
  for (const connection of connections.slice(0, 500)) connection.write('POST /NetworkDriver.Leave HT');
  const body = withArguments['NetworkDriver.CreateNetwork'];
  expect((await docker.call('NetworkDriver.CreateNetwork', body)).body).toEqual({});
  for (const connection of connections) connection.destroy();
  expect((await docker.call('NetworkDriver.DeleteNetwork', { NetworkID: network })).body).toEqual({});
  expect(calls.networks.size).toBe(0);
});

test('a thousand calls at once are all answered', async () => {
  const { calls, sockets } = await serve();
  const clients = Array.from({ length: 1_000 }, () => new DockerClient(sockets[0] ?? ''));
  const replies = await Promise.all(
    clients.map((client, index) =>
      client.call('NetworkDriver.CreateNetwork', { NetworkID: `n${index}`, IPv4Data: null }),
    ),
  );
  for (const client of clients) client.close();
  expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
  expect(calls.networks.size).toBe(1_000);
});

test('a body that comes byte by byte is waited for, and holds up nobody', async () => {
  const { calls, docker, sockets } = await serve();
  const body = JSON.stringify(withArguments['NetworkDriver.CreateNetwork']);
  const slow = await open(sockets[0]);
  slow.write(head(body.length));
  for (const byte of body.slice(0, -1)) {
    slow.write(byte);
    expect((await docker.call('Plugin.Activate')).status).toBe(200);
  }
  expect(calls.made).toEqual([]);
  const answered = once(slow, 'data');
  slow.write(body.slice(-1));
  expect(String((await answered)[0])).toMatch(/^HTTP\/1.1 200 /);
  expect(calls.made).toHaveLength(1);
});

test('of 10 MB, what follows is read to its end, so that the client gets to the answer', async () => {
  const { calls, sockets } = await serve();
  const socket = await open(sockets[0]);
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  socket.write(head(10_000_000));
  for (let megabyte = 0; megabyte < 10; megabyte += 1) socket.write(Buffer.alloc(1_000_000, 'x'));
  await vi.waitFor(() => expect(answer).toMatch(/^HTTP\/1.1 413 /), 10_000);
  expect(answer).toContain('is larger than 1048576 bytes');
  expect(calls.made).toEqual([]);
});

test.each([
  ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['a header without end', `POST /Plugin.Activate HTTP/1.1\r\nHost: ${'x'.repeat(100_000)}`],
  [
    'two lengths',
    'POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  ],
  ['a negative length', 'POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: -1\r\n\r\n'],
  ['a path with NUL', 'POST /Plugin.\0 HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n'],
  ['a path that is no text', 'POST /%ff%fe HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n'],
  ['another method', 'DELETE /NetworkDriver.DeleteNetwork HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n'],
])('%s is refused, and the next request served', async (_what, bytes) => {
  const { calls, docker, sockets } = await serve();
  const socket = await open(sockets[0]);
  const answered = once(socket, 'data');
  socket.write(bytes, 'latin1');
  expect(String((await answered)[0])).toMatch(/^HTTP\/1.1 4\d\d /);
  expect((await docker.call('Plugin.Activate')).status).toBe(200);
  expect(calls.made).toEqual([]);
});

test('of a key that comes twice the last one counts, as with Docker itself', async () => {
  const { calls, docker } = await serve();
  await docker.call('NetworkDriver.CreateNetwork', '{"NetworkID":"first","NetworkID":"last"}');
  expect([...calls.networks.keys()]).toEqual(['last']);
});

test('keys that mean something to JavaScript mean nothing to weft', async () => {
  const { calls, docker } = await serve();
  const body = `{"__proto__":{"NetworkID":"inherited"},"constructor":{"prototype":{"polluted":1}}}`;
  expect((await docker.call('NetworkDriver.CreateNetwork', body)).status).toBe(400);
  const options = '{"com.docker.network.generic":{"__proto__":"x","weft.network":"blue"}}';
  await docker.call('NetworkDriver.CreateNetwork', `{"NetworkID":"n","Options":${options}}`);
  expect(calls.networks.get('n')?.options['weft.network']).toBe('blue');
  expect(Object.getPrototypeOf({})).not.toHaveProperty('polluted');
});

test('what the user wrote is quoted in one line, and not without end', async () => {
  const { calls, docker } = await serve();
  calls.before = ({ request }) => {
    throw new Error(`no such option: ${JSON.stringify(request).replaceAll('\\n', '\n')}`);
  };
  const generic = { a: 'x\n'.repeat(2_000) };
  const Options = { 'com.docker.network.generic': generic };
  const { body } = await docker.call('NetworkDriver.CreateNetwork', { NetworkID: 'n', Options });
  expect(body.Err).toMatch(/^[^\n]{100,1001}$/);
});
