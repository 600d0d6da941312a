/** Hearing from the kernel that something of the host's network has changed, by whomever. */
import { closeSync, readSync } from 'node:fs';
import { containerEndGroup, linkPrefix, protocol } from './mark.ts';
import { decodeLink } from './netlink/link.ts';
import { decodeMessages, type Message } from './netlink/message.ts';
import { decodeTableName, deletionOfTable } from './netlink/nftables.ts';
import { decodeRoute } from './netlink/route.ts';
import type { NftTable } from './nft.ts';

/**
 * What has changed; a link by its name. `own route`: weft's to another host is gone. `own filter`: its table of the packet
 * filter is. Either may have been taken away by weft itself, which then finds nothing to do. `unknown`: too much at once
 * to be told.
 */
export type HostChange =
  | { readonly kind: 'link'; readonly name: string }
  | { readonly kind: 'address' }
  | { readonly kind: 'route' }
  | { readonly kind: 'own route' }
  | { readonly kind: 'own filter' }
  | { readonly kind: 'unknown' };

/** Links, and addresses and routes of both families (RTMGRP_*); tables of nftables (NFNLGRP_NFTABLES). */
export const watchedGroups = [
  { protocol: 'rtnetlink', groups: 0x1 | 0x10 | 0x40 | 0x100 | 0x400 },
  { protocol: 'netfilter', groups: 0x40 },
] as const;

/** Node can wait for a socket of the internet, but not for one of the kernel's. */
const lookMs = 200;
const bufferBytes = 64 * 1024;
const mostPerLook = 64;

/**
 * Calls back for what changes. What is of one link only is left out, and weft's own changes, but for what it has no more.
 * @param fds of sockets that hear of `watchedGroups`; closed when the watch is
 * @returns ends the watch
 */
export function watchChanges(fds: readonly number[], changed: (change: HostChange) => void): () => void {
  const buffer = Buffer.allocUnsafe(bufferBytes);
  const timer = setInterval(() => {
    for (const change of fds.flatMap((fd) => readChanges(fd, buffer))) changed(change);
  }, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const fd of fds) closeSync(fd);
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
const ownName: NftTable['name'] = 'weft';

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
    case deletionOfTable:
      return decodeTableName(body) === ownName ? { kind: 'own filter' } : undefined;
    default:
      return undefined;
  }
}
