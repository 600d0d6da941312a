/**
 * The handful of system calls that Node has no function for. All are made on the calling thread and return at
 * once. Once a netlink socket exists, Node's own fs.write and fs.read speak to it: it is a descriptor.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { WeftError } from '../errors.ts';
import { errnoName } from './errno.ts';

const libc = koffi.load(null);
const signatures = {
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, const uint8_t *address, uint32_t length)',
  setsockopt: 'int setsockopt(int fd, int level, int name, const int *value, uint32_t length)',
  setns: 'int setns(int fd, int type)',
  unshare: 'int unshare(int flags)',
  mount:
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, void *data)',
  umount2: 'int umount2(const char *target, int flags)',
} as const;

type Syscall = keyof typeof signatures;
const functions = new Map<Syscall, (...args: unknown[]) => unknown>();

/** @throws WeftError `kernel` naming the call, what it was for and the errno. */
function call(name: Syscall, purpose: string, ...args: unknown[]): number {
  const run = functions.get(name) ?? libc.func(signatures[name]);
  functions.set(name, run);
  const result = Number(run(...args));
  if (result >= 0) return result;
  const errno = errnoName(koffi.errno());
  const advice = errno === 'EPERM' ? '; weft needs CAP_NET_ADMIN and CAP_SYS_ADMIN' : '';
  throw new WeftError('kernel', `could not ${purpose}: ${name}: ${errno}${advice}`);
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** Room for the answers to one send, which all wait in the socket's queue: an ack takes about 1 KiB there. */
const receiveBytes = 4 * 1024 * 1024;

/**
 * An rtnetlink socket of the current namespace, as a descriptor. It never blocks for an answer: the kernel
 * carries out a request inside the write, so what there is to read is there when the write returns.
 * @param groups of changes to hear of, as a mask of RTMGRP_*
 */
export function openRouteSocket(groups = 0): number {
  const purpose = 'open an rtnetlink socket';
  const fd = call('socket', purpose, AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
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

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
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
    const place = Buffer.alloc(isIpv4 ? 16 : 28);
    place.writeUInt16LE(isIpv4 ? AF_INET : AF_INET6);
    place.writeUInt16BE(port, 2);
    bytes.copy(place, isIpv4 ? 4 : 8);
    call('bind', purpose, fd, place, place.length);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const CLONE_NEWNET = 0x40000000;

/**
 * The calling thread's own namespace file. Not /proc/self: that is the main thread's, which a caller in a
 * worker is not.
 */
export const currentNamespace = '/proc/thread-self/ns/net';

/**
 * Runs something inside another network namespace. It must be synchronous: the thread is back in its own
 * namespace when this returns, and nothing else runs on it meanwhile.
 */
export function inNamespace<T>(namespaceFd: number, run: () => T): T {
  return andBack(() => call('setns', 'enter a network namespace', namespaceFd, CLONE_NEWNET), run);
}

/** Runs something synchronous inside a namespace newly made, which goes again unless it is pinned. */
export function inNewNamespace<T>(run: () => T): T {
  return andBack(() => call('unshare', 'make a network namespace', CLONE_NEWNET), run);
}

function andBack<T>(enter: () => void, run: () => T): T {
  const home = openSync(currentNamespace, 'r');
  try {
    enter();
    try {
      return run();
    } finally {
      call('setns', 'return to the own network namespace', home, CLONE_NEWNET);
    }
  } finally {
    closeSync(home);
  }
}

const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MNT_DETACH = 2;

/** Pins the current namespace on a file, which keeps it when no process is in it. */
export function pinCurrentNamespace(file: string): void {
  call('mount', `pin a network namespace at ${file}`, currentNamespace, file, null, MS_BIND, null);
}

export function unmount(path: string): void {
  call('umount2', `unmount ${path}`, path, MNT_DETACH);
}

export function remountWritable(path: string): void {
  call('mount', `make ${path} writable`, null, path, null, MS_REMOUNT | MS_BIND, null);
}
