/**
 * Sockets of the current namespace that Node cannot open, as descriptors. Once one of netlink exists, Node's own fs.write
 * and fs.read speak to it.
 */
import { closeSync } from 'node:fs';
import { WeftError } from '../errors.ts';
import { EADDRINUSE, EADDRNOTAVAIL, EINTR, EPROTONOSUPPORT, errnoName } from './errno.ts';
import { attempt, call } from './syscalls.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** Protocols of netlink: links, addresses and routes; packet filter and connections. */
const netlinkProtocols = { rtnetlink: 0, netfilter: 12 } as const;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** Room for the answers to one send, which all wait in the socket's queue: an ack takes about 1 KiB there. */
const receiveBytes = 4 * 1024 * 1024;

/**
 * A netlink socket of the current namespace, as a descriptor. It never blocks for an answer: the kernel
 * carries out a request inside the write, so what there is to read is there when the write returns.
 * @param groups of changes to hear of, as a mask of RTMGRP_*
 */
export function openNetlinkSocket(protocol: keyof typeof netlinkProtocols, groups = 0): number {
  const purpose = `open a netlink socket (${protocol})`;
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = call('socket', purpose, AF_NETLINK, type, netlinkProtocols[protocol]);
  try {
    const anyPort = Buffer.alloc(12);
    anyPort.writeUInt16LE(AF_NETLINK);
    anyPort.writeUInt32LE(groups, 8);
    call('bind', purpose, fd, anyPort, anyPort.length);
    const set = (level: number, option: number, value: number) =>
      call('setsockopt', purpose, fd, level, option, [value], 4);
    set(SOL_SOCKET, SO_RCVBUFFORCE, receiveBytes);
    set(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    set(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    set(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const POLLIN = 1;

/**
 * Whether there is something to be read, by descriptor, in one call; to try each one costs an error each. A call that a
 * signal interrupts tells of nothing.
 */
export function readable(fds: readonly number[]): boolean[] {
  const asked = fds.map((fd) => Buffer.from(Int32Array.of(fd, POLLIN).buffer));
  const polled = Buffer.concat(asked);
  if (attempt('poll', polled, fds.length, 0) === -EINTR) return fds.map(() => false);
  return asked.map(({ length }, position) => polled.readUInt16LE((position + 1) * length - 2) !== 0);
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const IPPROTO_UDP = 17;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const portOffset = 2;

export type HeldSocket =
  | { readonly result: 'held'; readonly fd: number; readonly port: number }
  | { readonly result: 'in use' | 'no such address' | 'unknown protocol' };

/**
 * Binds a socket of the current namespace that nobody reads. One of TCP listens: only that keeps away others who,
 * like docker-proxy, set SO_REUSEADDR (net/ipv4/inet_connection_sock.c); weft sets it too, since connections that
 * are being closed must not stand in its way.
 */
export function holdSocket(wish: {
  readonly protocol: number;
  readonly family: 4 | 6;
  /** All zeros: any address. */
  readonly bytes: Buffer;
  readonly port: number;
}): HeldSocket {
  const purpose = `hold port ${wish.port}`;
  const datagrams = wish.protocol === IPPROTO_UDP;
  const type = (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = attempt('socket', wish.family === 4 ? AF_INET : AF_INET6, type, wish.protocol);
  if (fd === -EPROTONOSUPPORT) return { result: 'unknown protocol' };
  if (fd < 0) throw new WeftError('kernel', `could not ${purpose}: socket: ${errnoName(-fd)}`);
  try {
    if (!datagrams) call('setsockopt', purpose, fd, SOL_SOCKET, SO_REUSEADDR, [1], 4);
    if (wish.family === 6) call('setsockopt', purpose, fd, IPPROTO_IPV6, IPV6_V6ONLY, [1], 4);
    const address = socketAddress(wish);
    const bound = attempt('bind', fd, address, address.length);
    const result = bound === 0 && !datagrams ? attempt('listen', fd, 0) : bound;
    if (result === 0) {
      call('getsockname', purpose, fd, address, [address.length]);
      return { result: 'held', fd, port: address.readUInt16BE(portOffset) };
    }
    if (result !== -EADDRINUSE && result !== -EADDRNOTAVAIL) {
      throw new WeftError('kernel', `could not ${purpose}: ${errnoName(-result)}`);
    }
    closeSync(fd);
    return { result: result === -EADDRINUSE ? 'in use' : 'no such address' };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const SO_MARK = 36;
const IPPROTO_IP = 0;
const IP_FREEBIND = 15;
const backlog = 64;
const socketTypes = { udp: SOCK_DGRAM, tcp: SOCK_STREAM } as const;

/**
 * A socket of the current namespace, as a descriptor, bound to an IPv4 address whether its link is up by now or
 * not.
 */
export function openLocalSocket(wish: {
  readonly protocol: keyof typeof socketTypes;
  readonly bytes: Buffer;
  readonly listens: boolean;
  /** On all it sends. */
  readonly mark?: number;
}): { readonly fd: number; readonly port: number } {
  const { protocol, bytes, listens, mark } = wish;
  const purpose = `open a socket for ${protocol} in a container`;
  const fd = call('socket', purpose, AF_INET, socketTypes[protocol] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  try {
    call('setsockopt', purpose, fd, IPPROTO_IP, IP_FREEBIND, [1], 4);
    if (mark !== undefined) call('setsockopt', purpose, fd, SOL_SOCKET, SO_MARK, [mark], 4);
    const address = socketAddress({ family: 4, bytes, port: 0 });
    call('bind', purpose, fd, address, address.length);
    if (listens && protocol === 'tcp') call('listen', purpose, fd, backlog);
    call('getsockname', purpose, fd, address, [address.length]);
    return { fd, port: address.readUInt16BE(portOffset) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Level and option by family: IP_TRANSPARENT, IPV6_TRANSPARENT. */
const transparent = { 4: [0, 19], 6: [41, 75] } as const;

/**
 * A UDP socket of the current namespace, as a descriptor, bound to an address that need not be this host's. Only
 * a transparent one may send from such (inet_sk_flowi_flags); that takes CAP_NET_ADMIN.
 */
export function openUdpSocket(
  address: { readonly family: 4 | 6; readonly bytes: Buffer },
  port: number,
): number {
  const { family, bytes } = address;
  const isIpv4 = family === 4;
  const purpose = `open UDP port ${port}`;
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = call('socket', purpose, isIpv4 ? AF_INET : AF_INET6, type, 0);
  try {
    const [level, option] = transparent[family];
    call('setsockopt', purpose, fd, level, option, [1], 4);
    const place = socketAddress({ family, bytes, port });
    call('bind', purpose, fd, place, place.length);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** struct sockaddr_in and sockaddr_in6. */
function socketAddress({ family, bytes, port }: { family: 4 | 6; bytes: Buffer; port: number }): Buffer {
  const address = Buffer.alloc(family === 4 ? 16 : 28);
  address.writeUInt16LE(family === 4 ? AF_INET : AF_INET6);
  address.writeUInt16BE(port, portOffset);
  bytes.copy(address, family === 4 ? 4 : 8);
  return address;
}
