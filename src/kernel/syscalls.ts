/**
 * The handful of system calls that Node has no function for, those of sockets apart (`sockets.ts`). All are made on the
 * calling thread and return at once.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { WeftError } from '../errors.ts';
import { ENOSYS, errnoName } from './errno.ts';

const libc = koffi.load(null);
const signatures = {
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, const uint8_t *address, uint32_t length)',
  listen: 'int listen(int fd, int backlog)',
  getsockname: 'int getsockname(int fd, _Inout_ uint8_t *address, _Inout_ uint32_t *length)',
  setsockopt: 'int setsockopt(int fd, int level, int name, const int *value, uint32_t length)',
  poll: 'int poll(_Inout_ uint8_t *fds, unsigned long count, int timeoutMs)',
  setns: 'int setns(int fd, int type)',
  unshare: 'int unshare(int flags)',
  mount:
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, void *data)',
  umount2: 'int umount2(const char *target, int flags)',
  syscall: 'long syscall(long number, long command, uint8_t *attributes, long length)',
} as const;

type Syscall = keyof typeof signatures;
const functions = new Map<Syscall, (...args: unknown[]) => unknown>();

/** Answers a negative errno for a failure. */
export function attempt(name: Syscall, ...args: unknown[]): number {
  const run = functions.get(name) ?? libc.func(signatures[name]);
  functions.set(name, run);
  const result = Number(run(...args));
  return result >= 0 ? result : -koffi.errno();
}

/** @throws WeftError `kernel` naming the call, what it was for and the errno. */
export function call(name: Syscall, purpose: string, ...args: unknown[]): number {
  const result = attempt(name, ...args);
  if (result >= 0) return result;
  const errno = errnoName(-result);
  const advice = errno === 'EPERM' ? '; weft needs CAP_NET_ADMIN and CAP_SYS_ADMIN' : '';
  throw new WeftError('kernel', `could not ${purpose}: ${name}: ${errno}${advice}`);
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

/** libc has no function for it. */
const SYS_bpf = { x64: 321, arm64: 280 } as const;

/** Memory that what is handed to the kernel points to, and where it does. */
export interface PointedAt {
  readonly at: number;
  readonly bytes: Buffer;
  readonly pointers?: readonly PointedAt[];
}

/** bpf(2), with a `union bpf_attr`. Answers what the kernel does: a negative errno for a failure. */
export function bpf(command: number, attributes: Buffer, pointers: readonly PointedAt[]): number {
  const number = Object.entries(SYS_bpf).find(([architecture]) => architecture === process.arch)?.[1];
  if (number === undefined) return -ENOSYS;
  point(attributes, pointers);
  return attempt('syscall', number, command, attributes, attributes.length);
}

/** Who calls holds what is pointed to, so it stays where it is. */
function point(bytes: Buffer, pointers: readonly PointedAt[]): void {
  for (const { at, bytes: target, pointers: further = [] } of pointers) {
    point(target, further);
    bytes.writeBigUInt64LE(koffi.address(target), at);
  }
}
