/**
 * The place of Docker's resolver in a container's namespace: what the container asks 127.0.0.11 comes here first,
 * and Docker's own can be asked from here. When this process ends, however it does, Docker's own is asked
 * directly again: the kernel sees to that.
 *
 * It keeps the namespace in being, so it must be closed when the container is gone.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { closeSync, openSync, statSync } from 'node:fs';
import { createServer, type Server, Socket as TcpSocket } from 'node:net';
import { WeftError } from '../errors.ts';
import { EINVAL, EOPNOTSUPP } from './errno.ts';
import { addDetour } from './netlink/detour.ts';
import { wireAddress } from './netlink/ip.ts';
import { explainVerdict } from './netlink/message.ts';
import { SocketPool } from './netlink/socket.ts';
import { isPinned } from './pin.ts';
import { openLocalSocket, openNetlinkSocket } from './sockets.ts';
import { inNamespace } from './syscalls.ts';

/** In every container that is on a network made by a user. */
const docker = { address: '127.0.0.11', port: 53 } as const;
const ownSource = '127.0.0.1';
const passMark = 0x77_65_66_74;
const TCP = 6;
const UDP = 17;

export interface ResolverPlace {
  readonly datagrams: UdpSocket;
  readonly connections: Server;
  /** A socket to ask Docker's resolver with. */
  openDatagrams(): UdpSocket;
  askByDatagram(socket: UdpSocket, query: Buffer): void;
  /** Whether a datagram from there is an answer of Docker's resolver. */
  isDocker(from: { readonly address: string; readonly port: number }): boolean;
  /** A connection to Docker's resolver. */
  connect(): TcpSocket;
  /** Whether it still is the namespace of the container. */
  isCurrent(): boolean;
  readonly closed: AbortSignal;
  close(): void;
}

/** No container of this host can be answered: the kernel knows no table that ends with its owner. */
export class TableOwnershipMissing extends WeftError {
  constructor() {
    super(
      'kernel',
      'names of other hosts need Linux 5.12 or newer here; Docker alone answers, as without weft',
    );
  }
}

/**
 * @param file of the container's namespace
 * @returns undefined when there is no namespace at the file, yet or any more
 * @throws WeftError `kernel`; TableOwnershipMissing
 */
export async function takeResolverPlace(file: string): Promise<ResolverPlace | undefined> {
  const inode = inodeOf(file);
  if (inode === undefined) return undefined;
  const namespaceFd = openFile(file);
  const open = (protocol: 'udp' | 'tcp', address: string, listens: boolean) => {
    const { bytes } = wireAddress(address);
    const mark = listens ? {} : { mark: passMark };
    return inNamespace(namespaceFd, () => openLocalSocket({ protocol, bytes, listens, ...mark }));
  };
  const netfilter = new SocketPool(() => inNamespace(namespaceFd, () => openNetlinkSocket('netfilter')), 1);
  const datagrams = createSocket('udp4').on('error', () => undefined);
  const connections = createServer().on('error', () => undefined);
  const closing = new AbortController();
  const close = () => {
    if (closing.signal.aborted) return;
    closing.abort();
    netfilter.close();
    datagrams.close();
    connections.close();
    closeSync(namespaceFd);
  };
  try {
    const udp = open('udp', docker.address, true);
    datagrams.bind({ fd: udp.fd });
    const tcp = open('tcp', docker.address, true);
    connections.listen({ fd: tcp.fd });
    const ports = new Map([
      [UDP, udp.port],
      [TCP, tcp.port],
    ]);
    const [table, ...rest] = await netfilter.ask(addDetour({ ...docker, ports, exceptMark: passMark }));
    if (table?.errno === EINVAL || table?.errno === EOPNOTSUPP) throw new TableOwnershipMissing();
    const failure = [table, ...rest].find((answer) => answer !== undefined && answer.errno !== 0);
    if (failure !== undefined) throw new WeftError('kernel', `no table there: ${explainVerdict(failure)}`);
  } catch (cause) {
    close();
    if (cause instanceof TableOwnershipMissing) throw cause;
    throw new WeftError('kernel', `cannot answer for names in the namespace ${file}`, { cause });
  }
  return {
    datagrams,
    connections,
    openDatagrams() {
      const socket = createSocket('udp4').on('error', () => undefined);
      socket.bind({ fd: open('udp', ownSource, false).fd });
      return socket;
    },
    askByDatagram: (socket, query) => socket.send(query, docker.port, docker.address, () => undefined),
    isDocker: ({ address, port }) => address === docker.address && port === docker.port,
    connect() {
      const { fd } = open('tcp', ownSource, false);
      return new TcpSocket({ fd }).connect(docker.port, docker.address);
    },
    isCurrent: () => inodeOf(file) === inode,
    closed: closing.signal,
    close,
  };
}

/** @throws WeftError `kernel` */
function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    throw new WeftError('kernel', `cannot open the namespace ${file}`, { cause });
  }
}

/** Of the namespace; undefined where none is mounted. */
function inodeOf(file: string): number | undefined {
  try {
    return isPinned(file) ? statSync(file).ino : undefined;
  } catch {
    return undefined;
  }
}
