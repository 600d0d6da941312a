/** Which machine this is, from its start to its end. */
import { readFileSync, readlinkSync } from 'node:fs';

/** Of no other machine, nor of this one after its next boot; the same for every process in this network namespace. */
export function bootId(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/net')}`;
}
