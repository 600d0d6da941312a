/**
 * Answers one container: what weft knows, at once; everything else is asked of Docker's resolver, as the container
 * asked it, and what that says handed on. So names of this host's other networks, legacy links, `--dns` and the
 * servers of the host are what they are without weft.
 */
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { ResolverPlace } from '../kernel/docker-resolver.ts';
import { framesIn, inFrame } from './frame.ts';

export type Answer = (query: Buffer, over: 'udp' | 'tcp') => Buffer | undefined;

/** Docker asks the servers that it knows one after the other, 4 s each. */
const patienceMs = 15_000;
/** Of one container, for Docker; Docker itself takes as many. More are lost, as datagrams may be. */
const mostWaiting = 1_024;
const mostConnections = 64;
const idleMs = 30_000;

/** Until the place is closed. */
export function serveNames(place: ResolverPlace, answer: Answer): void {
  const { datagrams, connections, closed } = place;
  /** Ends of what waits for Docker; each keeps the container's namespace in being. */
  const waiting = new Set<() => void>();
  const streams = new Set<Socket>();

  datagrams.on('message', (query, from) => {
    if (closed.aborted) return;
    const reply = (bytes: Buffer) => datagrams.send(bytes, from.port, from.address, () => undefined);
    try {
      const known = answer(query, 'udp');
      if (known === undefined) handOn(query, reply);
      else reply(known);
    } catch {
      // As if it had been lost on its way: it is asked again, and one question must not end the process.
    }
  });

  function handOn(query: Buffer, reply: (answer: Buffer) => void): void {
    if (waiting.size >= mostWaiting) return;
    const socket = place.openDatagrams();
    const timer = setTimeout(end, patienceMs);
    waiting.add(end);
    socket.on('message', (bytes, from) => {
      // Anybody in the container could send there; it is Docker that was asked, and this question.
      if (!place.isDocker(from) || !bytes.subarray(0, 2).equals(query.subarray(0, 2))) return;
      end();
      reply(bytes);
    });
    place.askByDatagram(socket, query);

    function end(): void {
      clearTimeout(timer);
      waiting.delete(end);
      socket.close();
    }
  }

  connections.maxConnections = mostConnections;
  connections.on('connection', (client) => void converse(client).catch(() => client.destroy()));

  async function converse(client: Socket): Promise<void> {
    keep(client, idleMs);
    // One that does not read its answers is not read from: they would pile up here.
    await pipeline(framesIn(client), answersTo, client);
  }

  async function* answersTo(queries: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const query of queries) {
      const bytes = answer(query, 'tcp') ?? (await ask(query));
      if (bytes === undefined) return;
      yield inFrame(bytes);
    }
  }

  async function ask(query: Buffer): Promise<Buffer | undefined> {
    if (closed.aborted) return undefined;
    const server = place.connect();
    keep(server, patienceMs);
    server.write(inFrame(query));
    for await (const bytes of framesIn(server)) return bytes;
    return undefined;
  }

  function keep(socket: Socket, silenceMs: number): void {
    streams.add(socket);
    socket.on('close', () => streams.delete(socket));
    socket.on('error', () => undefined);
    socket.setTimeout(silenceMs, () => socket.destroy());
  }

  closed.addEventListener('abort', () => {
    for (const end of waiting) end();
    for (const stream of streams) stream.destroy();
  });
}
