/** The place of Docker's resolver in a container, on loopback. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { ResolverPlace } from '../../src/kernel/docker-resolver.ts';

export interface FakeResolverPlace extends ResolverPlace {
  /** The container is gone. */
  end(): void;
}

export function fakeResolverPlace(): FakeResolverPlace {
  const closing = new AbortController();
  const datagrams = createSocket('udp4');
  const connections = createServer();
  const unknown = () => {
    throw new Error('there is no Docker here');
  };
  let current = true;
  return {
    datagrams,
    connections,
    openDatagrams: unknown,
    askByDatagram: unknown,
    isDocker: () => false,
    connect: unknown,
    isCurrent: () => current,
    closed: closing.signal,
    close() {
      if (closing.signal.aborted) return;
      closing.abort();
      datagrams.close();
    },
    end() {
      current = false;
    },
  };
}
