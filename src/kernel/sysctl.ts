/** Settings of the kernel that netlink does not reach. All are of the current network namespace. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Family } from '../model/address.ts';
import { remountWritable } from './syscalls.ts';

const root = '/proc/sys';
const forwarding = {
  4: `${root}/net/ipv4/ip_forward`,
  6: `${root}/net/ipv6/conf/all/forwarding`,
} as const satisfies Record<Family, string>;

const withoutIpv6 = `${root}/net/ipv6/conf/default/disable_ipv6`;

/** Whether links get IPv6 when they are made. */
export function hasIpv6(): boolean {
  return isOff(withoutIpv6);
}

/** Docker mounts /proc/sys read-only in a managed plugin, whose capabilities let it undo that. */
export function makeSysctlsWritable(): void {
  try {
    accessSync(forwarding[4], constants.W_OK);
  } catch {
    remountWritable(root);
  }
}

export function forwards(families: readonly Family[]): boolean {
  return !families.some((family) => isOff(forwarding[family]));
}

/** Turns routing on where it is off. Answers whether it had to. */
export function enableForwarding(families: readonly Family[]): boolean {
  const off = families.map((family) => forwarding[family]).filter((file) => isOff(file));
  if (off.includes(forwarding[6])) keepRouterAdvertisements();
  for (const file of off) writeFileSync(file, '1');
  return off.length > 0;
}

function isOff(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').trim() === '0';
}

/**
 * A host that forwards IPv6 no longer heeds router advertisements, and drops the default route it has from
 * one, unless `accept_ra` is 2 (Documentation/networking/ip-sysctl): whoever relied on 1 keeps what they have.
 */
function keepRouterAdvertisements(): void {
  const folder = `${root}/net/ipv6/conf`;
  for (const link of readdirSync(folder)) {
    const file = `${folder}/${link}/accept_ra`;
    if (link !== 'all' && readFileSync(file, 'utf8').trim() === '1') writeFileSync(file, '2');
  }
}
