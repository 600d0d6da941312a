/** Hearing from the kernel that something of the host's network has changed, by whomever. */
import { closeSync, readSync } from 'node:fs';
import { containerEndGroup, linkPrefix, protocol } from './mark.ts';
import { decodeLink } from './netlink/link.ts';
import { decodeMessages, type Message } from './netlink/message.ts';
import { decodeRoute } from './netlink/route.ts';

/**
 * What has changed; a link by its name. `own route`: weft's to another host is gone, perhaps by weft itself, which then
 * finds nothing to do. `unknown`: too much at once to be told.
 */
export type HostChange =
  | { readonly kind: 'link'; readonly name: string }
  | { readonly kind: 'address' }
  | { readonly kind: 'route' }
  | { readonly kind: 'own route' }
  | { readonly kind: 'unknown' };

/** Links, and addresses and routes of both families: RTMGRP_*. */
export const watchedGroups = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/** Node can wait for a socket of the internet, but not for one of the kernel's. */
const lookMs = 200;
const bufferBytes = 64 * 1024;
const mostPerLook = 64;

/**
 * Calls back for what changes; what is of one link only, and weft's own, are left out, but for routes of its own that go.
 * @param fd of an rtnetlink socket that hears of `watchedGroups`; closed when the watch is
 * @returns ends the watch
 */
export function watchChanges(fd: number, changed: (change: HostChange) => void): () => void {
  const buffer = Buffer.allocUnsafe(bufferBytes);
  const timer = setInterval(() => {
    for (const change of readChanges(fd, buffer)) changed(change);
  }, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    closeSync(fd);
  };
}

function readChanges(fd: number, buffer: Buffer): HostChange[] {
  const changes: HostChange[] = [];
  try {
    for (let reads = 0; reads < mostPerLook; reads += 1) {
      const bytes = buffer.subarray(0, readSync(fd, buffer, 0, bufferBytes, null));
      changes.push(...decodeMessages(bytes).flatMap((message) => decodeChange(message) ?? []));
    }
  } catch (error) {
    const nothingLeft = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
    if (!nothingLeft) changes.push({ kind: 'unknown' });
  }
  return changes;
}

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RT_SCOPE_UNIVERSE = 0;
const RT_TABLE_MAIN = 254;

/** Undefined for what bears on no other host: containers come and go, each with links of its own. */
export function decodeChange({ type, body }: Message): HostChange | undefined {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const { name, group } = decodeLink(body);
      const isOwn = name.startsWith(linkPrefix) || group === containerEndGroup;
      return isOwn ? undefined : { kind: 'link', name };
    }
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return body.readUInt8(3) === RT_SCOPE_UNIVERSE ? { kind: 'address' } : undefined;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = decodeRoute(body);
      if (route === undefined || route.table !== RT_TABLE_MAIN) return undefined;
      if (route.protocol === protocol) {
        return type === RTM_DELROUTE && route.via !== undefined ? { kind: 'own route' } : undefined;
      }
      return /^f[ef]/.test(route.destination) ? undefined : { kind: 'route' };
    }
    default:
      return undefined;
  }
}
