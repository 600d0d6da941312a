import { constants } from 'node:os';

const names = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]));

export const {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EEXIST,
  EINTR,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  EPROTONOSUPPORT,
  ESRCH,
} = constants.errno;

/** `ENOENT` of 2. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}
