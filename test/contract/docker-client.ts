/** Calls a plugin's socket the way dockerd does, down to the headers. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

/** What dockerd puts into `Host`: nothing, the path of the socket, or a made-up name, by its version. */
export const hostHeaders = {
  '20.10': '',
  '20.10 (old Go)': '/run/docker/plugins/weft.sock',
  '26': 'plugin.moby.localhost',
  '28': 'plugin.moby.localhost',
};

export class DockerClient {
  readonly #socketPath: string;
  readonly #host: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(socketPath: string, host = hostHeaders['28']) {
    this.#socketPath = socketPath;
    this.#host = host;
  }

  /** A method with arguments as an object, as text as it is, or without any. */
  call(method: string, body: object | string = ''): Promise<Reply> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const outgoing = request({
      socketPath: this.#socketPath,
      path: `/${method}`,
      method: 'POST',
      agent: this.#agent,
      headers: {
        Host: this.#host,
        'User-Agent': 'Go-http-client/1.1',
        'Content-Length': Buffer.byteLength(text),
        Accept: 'application/vnd.docker.plugins.v1.2+json',
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', async (incoming) => {
      try {
        const chunks = await incoming.toArray();
        const body = JSON.parse(Buffer.concat(chunks).toString());
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.end(text);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}
