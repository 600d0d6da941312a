/**
 * Docker's API, on the socket of this host's daemon, as far as weft needs it. Never awaited inside a call of
 * Docker's: dockerd holds locks while it calls weft, and would wait for itself.
 *
 * Each request dials anew: a daemon that starts again makes a new socket.
 */
import { type IncomingMessage, request } from 'node:http';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { explain, WeftError } from '../errors.ts';
import {
  ContainerList,
  type DockerAttachment,
  type DockerContainer,
  InspectedContainer,
  readAttachments,
  readContainer,
} from './docker-container.ts';
import {
  type DockerNetwork,
  isOfOneHost,
  NetworkList,
  readNetwork,
  renderNetwork,
} from './docker-network.ts';

export interface DockerEvent {
  readonly type: string;
  readonly action: string;
  /** Of the object. */
  readonly id: string;
  /** That it happened to, where the object is a network. */
  readonly container?: string;
}

export interface Docker {
  /** Those that are this host's alone. @throws WeftError `unavailable` | `timeout` | `internal`, as all here */
  networks(): Promise<DockerNetwork[]>;
  /** Whether there is a network of this id, be it a swarm's. */
  hasNetwork(id: string): Promise<boolean>;
  /** Answers the NetworkID. @throws WeftError `conflict` with what Docker says */
  createNetwork(network: DockerNetwork): Promise<string>;
  /** Unknown: succeeds. @throws WeftError `conflict` when a container is on it */
  removeNetwork(id: string): Promise<void>;
  /**
   * Whether a container is on a network, or would be if it were started. It is known by the id, and by the name as
   * long as the container never ran.
   */
  isUsed(...idsAndNames: string[]): Promise<boolean>;
  /** Ids of those that run. */
  containers(): Promise<string[]>;
  /** Of those that run. */
  attachments(): Promise<DockerAttachment[]>;
  /** @throws WeftError `not-found` too */
  container(id: string): Promise<DockerContainer>;
  /** Connects; what bears on networks and names from then on, until the connection or the signal ends. */
  events(signal: AbortSignal): Promise<AsyncIterable<DockerEvent>>;
}

/** API versions: weft uses nothing that came later than the first, which is Docker 20.10's, or went by the last. */
const oldestApi = 41;
const newestApi = 51;

/** Actions of networks and containers. What else they do (each health check, say) is much, and nothing to weft. */
const heard = ['create', 'destroy', 'connect', 'disconnect', 'start', 'rename'];

/** While dockerd starts it takes connections, and answers none. */
const readTimeoutMs = 10_000;
/** Docker calls weft meanwhile, several times, and weft answers each within 8 s. */
const changeTimeoutMs = 60_000;

const Created = Compile(Type.Object({ Id: Type.String({ minLength: 1 }) }));
const Networks = Compile(NetworkList);
const Container = Compile(InspectedContainer);
const Containers = Compile(Type.Array(Type.Object({ Id: Type.String() })));
const AttachedContainers = Compile(ContainerList);
const Event = Compile(
  Type.Object({
    Type: Type.String(),
    Action: Type.String(),
    Actor: Type.Object({
      ID: Type.String(),
      Attributes: Type.Optional(Type.Object({ container: Type.Optional(Type.String()) })),
    }),
  }),
);
const Complaint = Compile(Type.Object({ message: Type.String() }));

export function dockerAt(socketPath: string): Docker {
  let version: string | undefined;

  function dial(method: string, path: string, signal: AbortSignal, body?: object): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const call = request({ socketPath, method, path, headers, signal, agent: false }, resolve);
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** The newest that both know. */
  async function negotiate(signal: AbortSignal): Promise<string> {
    const response = await dial('GET', '/_ping', signal);
    response.resume();
    const minor = Number(/^1\.(\d+)$/.exec(String(response.headers['api-version']))?.[1]);
    if (!(minor >= oldestApi))
      throw new WeftError('unavailable', 'Docker is older than 20.10, or does not answer yet');
    return `/v1.${Math.min(minor, newestApi)}`;
  }

  /** @throws WeftError `conflict` when Docker refuses */
  async function ask(method: string, path: string, timeoutMs: number, body?: object): Promise<string> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      version ??= await negotiate(signal);
      const response = await dial(method, version + path, signal, body);
      const answer = await textOf(response);
      const { statusCode = 500 } = response;
      if (statusCode < 300 || (method === 'DELETE' && statusCode === 404)) return answer;
      if (method === 'GET' && statusCode === 404) throw new WeftError('not-found', `Docker has no ${path}`);
      throw new WeftError(statusCode < 500 ? 'conflict' : 'unavailable', complaintIn(answer, statusCode));
    } catch (cause) {
      if (cause instanceof WeftError) throw cause;
      if (signal.aborted) {
        throw new WeftError(
          'timeout',
          `Docker did not answer ${method} ${path} within ${timeoutMs / 1000} s`,
        );
      }
      throw new WeftError('unavailable', `cannot ask Docker at ${socketPath}: ${explain(cause)}`, { cause });
    }
  }

  return {
    async networks() {
      const listed = parse(Networks, await ask('GET', '/networks', readTimeoutMs));
      return listed.filter(isOfOneHost).map(readNetwork);
    },

    async hasNetwork(id) {
      try {
        await ask('GET', `/networks/${id}`, readTimeoutMs);
        return true;
      } catch (error) {
        if (error instanceof WeftError && error.code === 'not-found') return false;
        throw error;
      }
    },

    async createNetwork(network) {
      const answer = await ask('POST', '/networks/create', changeTimeoutMs, renderNetwork(network));
      return parse(Created, answer).Id;
    },

    async removeNetwork(id) {
      await ask('DELETE', `/networks/${id}`, changeTimeoutMs);
    },

    async isUsed(...idsAndNames) {
      const filters = encodeURIComponent(JSON.stringify({ network: idsAndNames }));
      const path = `/containers/json?all=1&limit=1&filters=${filters}`;
      return parse(Containers, await ask('GET', path, readTimeoutMs)).length > 0;
    },

    async containers() {
      return parse(Containers, await ask('GET', '/containers/json', readTimeoutMs)).map(({ Id }) => Id);
    },

    async attachments() {
      return readAttachments(parse(AttachedContainers, await ask('GET', '/containers/json', readTimeoutMs)));
    },

    async container(id) {
      return readContainer(parse(Container, await ask('GET', `/containers/${id}/json`, readTimeoutMs)));
    },

    async events(signal) {
      // The daemon behind the socket may be another than the last time.
      version = undefined;
      await ask('GET', '/_ping', readTimeoutMs);
      const filters = encodeURIComponent(JSON.stringify({ type: ['network', 'container'], event: heard }));
      const response = await dial('GET', `${version ?? ''}/events?filters=${filters}`, signal);
      if (response.statusCode === 200) return eventsIn(response);
      throw new WeftError('unavailable', complaintIn(await textOf(response), response.statusCode));
    },
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/** One JSON object a line. */
async function* eventsIn(response: IncomingMessage): AsyncGenerator<DockerEvent> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { Type: type, Action: action, Actor } = parse(Event, line);
      const container = type === 'network' ? Actor.Attributes?.container : undefined;
      yield { type, action, id: Actor.ID, ...(container !== undefined && { container }) };
    }
  }
}

function complaintIn(answer: string, status: number | undefined): string {
  try {
    return parse(Complaint, answer).message.trim();
  } catch {
    return `Docker answered with status ${status}`;
  }
}

/** @throws WeftError `internal` */
function parse<S extends TSchema>(validator: Validator<Record<never, never>, S>, text: string): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeftError('internal', "Docker's answer is not JSON", { cause });
  }
  if (validator.Check(value)) return value;
  const [problem] = validator.Errors(value);
  throw new WeftError(
    'internal',
    `Docker's answer is not understood: ${problem?.instancePath} ${problem?.message}`,
  );
}
