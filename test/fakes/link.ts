/** A TCP proxy on loopback: a link that can be cut, silenced or made to swallow answers. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Link {
  readonly port: number;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Passes nothing in either direction; connections stay open and new ones are taken. */
  stall(): void;
  /** Passes requests and swallows answers, of the connections there are. */
  swallowAnswers(): void;
  /** After any of the above. Connections that lost bytes are ended, as a link that came back would do. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

type Mode = 'pass' | 'stall' | 'swallow';

export async function startLink(targetPort: number): Promise<Link> {
  const sockets = new Set<Socket>();
  let mode: Mode = 'pass';
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (mode !== 'stall') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (mode === 'pass') client.write(bytes);
    });
  });

  const endConnections = () => {
    for (const socket of sockets) socket.destroy();
  };

  const port = await listen(server, 0);
  return {
    port,
    async cut() {
      await stopListening(server);
      endConnections();
    },
    stall() {
      mode = 'stall';
    },
    swallowAnswers() {
      mode = 'swallow';
    },
    async mend() {
      if (mode !== 'pass') endConnections();
      mode = 'pass';
      if (!server.listening) await listen(server, port);
    },
    async close() {
      await stopListening(server);
      endConnections();
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** The listening socket is closed at once; `close` would wait for the connections. */
async function stopListening(server: Server): Promise<void> {
  if (server.listening) server.close();
}
