/**
 * weft as Docker meets it: HTTP on unix sockets, one POST a method. Here, and nowhere else, an error becomes
 * an answer.
 */
import type { Server } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { AddressCalls, NetworkCalls } from '../agent/calls.ts';
import { explain, WeftError } from '../errors.ts';
import { describe, performer, type Subject } from './call.ts';
import { ipamDriver } from './ipam-driver.ts';
import { answers, type Methods } from './method.ts';
import { networkDriver, type Scope } from './network-driver.ts';
import { Refusal } from './refusal.ts';
import { listen } from './socket.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** By `performance.now`. */
    arrivedMs: number;
    /** Known once the body is understood. */
    subject: Subject | undefined;
  }
}

export interface ServerOptions {
  /** Opened in this order. Docker takes a managed plugin for ready once its own socket answers: the last. */
  readonly sockets: readonly string[];
  readonly network: NetworkCalls;
  readonly addresses: AddressCalls;
  readonly scope: Scope;
  /** Whether Docker shall tell the MAC when it asks for an address. */
  readonly wantsMac: boolean;
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn'>;
  /** Within this time every call is answered; dockerd's boot and the user's command wait for it. */
  readonly deadlineMs?: number;
}

const mediaType = 'application/vnd.docker.plugins.v1.2+json';
const bodyLimitBytes = 1024 * 1024;
const longestSentence = 1_000;
/** What swarm says itself, "legacy plugin weft of type NetworkDriver is not supported", does not help. */
const swarmNames =
  'this host is in a swarm: a network of the swarm needs the full name of the plugin, as docker plugin ls shows it, for --driver and for --ipam-driver; swarm refuses weft and weft-ipam as legacy plugins';

/**
 * A socket that cannot be opened is logged and left out. `close` ends when the running calls have answered.
 * @throws WeftError `internal` when none can be opened.
 */
export async function startServer(options: ServerOptions): Promise<{ close(): Promise<void> }> {
  let closing = false;
  const app = createApp(options);
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  await app.ready();

  const servers: Server[] = [];
  const failures: Error[] = [];
  for (const path of options.sockets) {
    try {
      const server = await listen(path, (request, response) => app.routing(request, response));
      server.on('error', (error) =>
        options.log.warn({ socket: path, error: explain(error) }, 'socket failed'),
      );
      servers.push(server);
    } catch (cause) {
      const failure = new WeftError('internal', `cannot listen on ${path}`, { cause });
      options.log.warn({ socket: path, error: explain(failure) }, 'socket left out');
      failures.push(failure);
    }
  }
  if (servers.length === 0) {
    throw new WeftError('internal', 'Docker cannot reach weft: none of its sockets could be opened', {
      cause: new AggregateError(failures),
    });
  }
  return {
    async close() {
      closing = true;
      await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
      await app.close();
    },
  };
}

function createApp(options: ServerOptions): FastifyInstance {
  const { network, addresses, scope, wantsMac, log, deadlineMs = 8_000 } = options;
  const app = Fastify({ bodyLimit: bodyLimitBytes });
  app.decorateRequest('arrivedMs', 0);
  app.decorateRequest('subject');
  // Its own clock, `reply.elapsedTime`, stands still where fastify's own log is off.
  app.addHook('onRequest', async (request) => {
    request.arrivedMs = performance.now();
  });

  // Docker sends no Content-Type. A request without a body never gets to a parser.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));

  const perform = performer({
    deadlineMs,
    onLate: (method, { subject }, failure) => {
      const error = failure === undefined ? {} : { error: explain(failure) };
      log.warn({ method, ...subject, ...error }, 'call ended after its deadline');
    },
  });
  let inSwarm = false;
  const onSwarm = () => {
    if (!inSwarm) log.info({}, swarmNames);
    inSwarm = true;
  };
  const methods: Methods = {
    'Plugin.Activate': answers({ Implements: ['NetworkDriver', 'IpamDriver'] }),
    ...networkDriver(network, scope, onSwarm),
    ...ipamDriver(addresses, wantsMac),
  };
  for (const [name, method] of Object.entries(methods)) {
    const understand = method(name);
    app.post(`/${name}`, async (request, reply) => {
      const call = understand(typeof request.body === 'string' ? request.body : '');
      request.subject = call.subject;
      const answer = await perform(name, call);
      log.debug({ method: name, ...call.subject, ms: msSince(request.arrivedMs) }, 'answered');
      // With a serializer set, fastify adds no charset to the type.
      return reply.type(mediaType).serializer(JSON.stringify).send(answer);
    });
  }
  app.setNotFoundHandler(async ({ url }) => {
    throw new Refusal(404, `weft has no method ${url.slice(1)}`);
  });

  app.setErrorHandler((error, request, reply) => {
    const method = request.url.slice(1);
    const status = statusFor(error);
    const stack = status === 500 && error instanceof Error ? { stack: error.stack } : {};
    log.warn(
      { method, ...request.subject, ms: msSince(request.arrivedMs), error: explain(error), ...stack },
      'refused',
    );
    // NetworkDriver's clients read `Err` and IpamDriver's `Error`; with a status other than 200, all `Err`.
    const sentence = inOneLine(sentenceFor(error, status, describe(method, request.subject ?? {})));
    return reply
      .status(status)
      .type(mediaType)
      .serializer(JSON.stringify)
      .send({ Err: sentence, Error: sentence });
  });
  return app;
}

/** To a tenth. */
function msSince(startMs: number): number {
  return Math.round((performance.now() - startMs) * 10) / 10;
}

/** 200 for an answer that says no; else Refusal's own, or fastify's; 500 for what nobody foresaw. */
function statusFor(error: unknown): number {
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    return error.statusCode;
  }
  return error instanceof WeftError ? 200 : 500;
}

function sentenceFor(error: unknown, status: number, call: string): string {
  if (error instanceof WeftError) return error.message;
  if (status === 413) return `${call} was refused: its body is larger than ${bodyLimitBytes} bytes`;
  if (status < 500) return `${call} was refused: ${explain(error)}`;
  return `${call} failed by a defect of weft, please report it with the log: ${explain(error)}`;
}

/** What the user wrote may be quoted in it, whatever that was. */
function inOneLine(sentence: string): string {
  const line = sentence.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
  return line.length <= longestSentence ? line : `${line.slice(0, longestSentence)}…`;
}
