/** A unix socket with HTTP on it, for root only. */
import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { dirname } from 'node:path';

/** Connections that wait to be taken; to one more the kernel says EAGAIN. It takes no more than this itself. */
const backlog = 4_096;

/** Takes the place of a file that an earlier process left: Docker would try it for 15 s at every look-up. */
export async function listen(path: string, onRequest: RequestListener): Promise<Server> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  // Docker keeps idle connections for ever. Were one closed just as a request comes in, Docker would repeat
  // that request with an empty body: so they are never closed from this side.
  const server = createServer({ keepAliveTimeout: 0 }, onRequest);
  server.listen({ path, backlog });
  await once(server, 'listening');
  await chmod(path, 0o600);
  return server;
}
