/** Between a container and Docker's resolver, each played here on loopback. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ResolverPlace } from '../../../src/kernel/docker-resolver.ts';
import { framesIn, inFrame } from '../../../src/names/frame.ts';
import { serveNames } from '../../../src/names/resolver.ts';

const loopback = '127.0.0.1';

interface Peer {
  readonly udp: UdpSocket;
  readonly tcp: Server;
  readonly udpPort: number;
  readonly tcpPort: number;
}

async function open(): Promise<Peer> {
  const udp = createSocket('udp4').bind(0, loopback);
  const tcp = createServer().listen(0, loopback);
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  return { udp, tcp, udpPort: udp.address().port, tcpPort: portOf(tcp) };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}

let docker: Peer;
let weft: Peer;
let container: UdpSocket;
let closing: AbortController;
let place: { -readonly [K in keyof ResolverPlace]: ResolverPlace[K] };
let asked: string[];
let answerMuch: () => Buffer;

beforeEach(async () => {
  docker = await open();
  weft = await open();
  asked = [];
  docker.udp.on('message', (query, from) => {
    asked.push(String(query));
    docker.udp.send(`${query} by Docker`, from.port, from.address);
  });
  docker.tcp.on('connection', async (socket: Socket) => {
    for await (const query of framesIn(socket)) socket.write(inFrame(Buffer.from(`${query} by Docker`)));
  });
  container = createSocket('udp4').bind(0, loopback);
  await once(container, 'listening');
  closing = new AbortController();
  place = {
    datagrams: weft.udp,
    connections: weft.tcp,
    openDatagrams: () => createSocket('udp4'),
    askByDatagram: (socket, query) => socket.send(query, docker.udpPort, loopback),
    isDocker: ({ port }) => port === docker.udpPort,
    connect: () => connect(docker.tcpPort, loopback),
    isCurrent: () => true,
    closed: closing.signal,
    close: () => closing.abort(),
  };
  serveNames(place, (query, over) => {
    if (/much/.test(String(query))) return answerMuch();
    return /web/.test(String(query)) ? Buffer.from(`${query} by ${over}`) : undefined;
  });
});

afterEach(() => {
  closing.abort();
  for (const { udp, tcp } of [docker, weft]) {
    udp.close();
    tcp.close();
  }
  container.close();
});

async function ask(query: string): Promise<string> {
  container.send(query, weft.udpPort, loopback);
  const [answer] = await once(container, 'message');
  return String(answer);
}

async function askByTcp(queries: readonly string[], chunk = 1_000): Promise<string[]> {
  const socket = connect(weft.tcpPort, loopback);
  const bytes = Buffer.concat(queries.map((query) => inFrame(Buffer.from(query))));
  for (let start = 0; start < bytes.length; start += chunk)
    socket.write(bytes.subarray(start, start + chunk));
  const answers: string[] = [];
  for await (const frame of framesIn(socket)) {
    answers.push(String(frame));
    if (answers.length === queries.length) break;
  }
  return answers;
}

test('what weft knows it answers itself', async () => {
  expect(await ask('1 web')).toBe('1 web by udp');
  expect(await askByTcp(['1 web'])).toEqual(['1 web by tcp']);
  expect(asked).toEqual([]);
});

test('everything else is asked of Docker, as it was asked', async () => {
  expect(await ask('2 example')).toBe('2 example by Docker');
  expect(await askByTcp(['2 example'])).toEqual(['2 example by Docker']);
});

test('many questions on one connection are answered in order, however they are cut up', async () => {
  const queries = ['3 web', '4 example', '5 web'];
  const answers = ['3 web by tcp', '4 example by Docker', '5 web by tcp'];
  expect(await askByTcp(queries)).toEqual(answers);
  expect(await askByTcp(queries, 3)).toEqual(answers);
});

test('who asks by TCP and does not read is not read from', async () => {
  const connected = once(weft.tcp, 'connection');
  const client = connect(weft.tcpPort, loopback);
  const [served]: Socket[] = await connected;
  const answer = Buffer.alloc(60_000);
  let most = 0;
  answerMuch = () => {
    most = Math.max(most, served?.writableLength ?? Number.NaN);
    return answer;
  };
  const count = 300;
  client.write(Buffer.concat(Array.from({ length: count }, () => inFrame(Buffer.from('much')))));
  await expect.poll(() => served?.writableNeedDrain).toBe(true);
  let answers = 0;
  for await (const frame of framesIn(client)) {
    expect(frame).toHaveLength(answer.length);
    answers += 1;
    if (answers === count) break;
  }
  expect(answers).toBe(count);
  expect(most).toBeLessThan(2 * answer.length);
});

test('an answer that is not of Docker, or to another question, is not handed on', async () => {
  docker.udp.removeAllListeners('message');
  const forger = createSocket('udp4');
  docker.udp.on('message', (query, from) => {
    forger.send(`${query} forged`, from.port, from.address, () => {
      docker.udp.send('99 another', from.port, from.address);
      docker.udp.send(`${query} by Docker`, from.port, from.address);
    });
  });
  expect(await ask('6 example')).toBe('6 example by Docker');
  forger.close();
});

test('what cannot be answered or asked is as if it had been lost', async () => {
  const lost = place.openDatagrams;
  place.openDatagrams = () => {
    throw new Error('told to fail');
  };
  container.send('7 example', weft.udpPort, loopback);
  expect(await ask('8 web')).toBe('8 web by udp');
  place.openDatagrams = lost;
  expect(await ask('9 example')).toBe('9 example by Docker');
});

test('an empty datagram and half a message end nothing', async () => {
  container.send('', weft.udpPort, loopback);
  const half = connect(weft.tcpPort, loopback);
  half.end(Buffer.of(0, 9, 1));
  await once(half.resume(), 'close');
  expect(await ask('7 web')).toBe('7 web by udp');
  expect(await ask('8 example')).toBe('8 example by Docker');
});

test('with the place, all connections end', async () => {
  const idle = connect(weft.tcpPort, loopback);
  await once(weft.tcp, 'connection');
  closing.abort();
  await once(idle.resume(), 'close');
});
