/** Hearing from the kernel that something has changed in the host's network, or on a segment, by whomever. */
import { closeSync, readSync } from 'node:fs';
import { containerEndGroup, linkPrefix, protocol } from './mark.ts';
import { decodeLink } from './netlink/link.ts';
import { decodeMessages, type Message } from './netlink/message.ts';
import { isDeletionOfEntry } from './netlink/neighbour.ts';
import { decodeTableName, deletionOfTable } from './netlink/nftables.ts';
import { decodeRoute } from './netlink/route.ts';
import type { NftTable } from './nft.ts';
import { openNetlinkSocket, readable } from './sockets.ts';
import { inNamespace } from './syscalls.ts';

/**
 * What has changed; a link by its name. `own route`: weft's to another host is gone. `own filter`: its table of the packet
 * filter is. `own segment`: entries are, or a table, in a namespace of a network's own. Each may have been taken away by
 * weft itself, which then finds nothing to do. `unknown`: too much at once to be told.
 */
export type HostChange =
  | { readonly kind: 'link'; readonly name: string }
  | { readonly kind: 'address' }
  | { readonly kind: 'route' }
  | { readonly kind: 'own route' }
  | { readonly kind: 'own filter' }
  | { readonly kind: 'own segment'; readonly namespace: string }
  | { readonly kind: 'unknown' };

/** Of one socket, from when it is opened. */
export interface Subscription {
  readonly fd: number;
  readonly decode: (message: Message) => HostChange | undefined;
  /** What may have been when more has come than it can hold. */
  readonly missed: HostChange;
  close(): void;
}

type Hearing = Pick<Subscription, 'decode' | 'missed'>;

/** Tables of nftables (NFNLGRP_NFTABLES). */
const tables = { protocol: 'netfilter', groups: 0x40 } as const;

/** Links, and addresses and routes of both families (RTMGRP_*); tables. */
const ofHost = [{ protocol: 'rtnetlink', groups: 0x1 | 0x10 | 0x40 | 0x100 | 0x400 }, tables] as const;

/** Neighbours and forwarding entries, which go with their links as well; tables. */
const ofSegment = [{ protocol: 'rtnetlink', groups: 0x4 }, tables] as const;

function subscribe(
  namespaceFd: number,
  to: typeof ofHost | typeof ofSegment,
  hearing: Hearing,
): Subscription[] {
  return to.map(({ protocol, groups }) => {
    const fd = inNamespace(namespaceFd, () => openNetlinkSocket(protocol, groups));
    return { ...hearing, fd, close: () => closeSync(fd) };
  });
}

/** To what others take away in a namespace of a network's own. */
export function subscribeToSegment(namespaceFd: number, namespace: string): Subscription[] {
  const robbed: HostChange = { kind: 'own segment', namespace };
  const decode = (message: Message) =>
    isDeletionOfEntry(message) || isDeletionOfTable(message) ? robbed : undefined;
  return subscribe(namespaceFd, ofSegment, { decode, missed: robbed });
}

/** Node can wait for a socket of the internet, but not for one of the kernel's. */
const lookMs = 200;
const bufferBytes = 64 * 1024;
const mostPerLook = 64;

/**
 * Calls back for what changes. What is of one link only is left out, and weft's own changes, but for what it has no more.
 * @param others asked for at every look
 * @returns ends the watch
 */
export function watchChanges(
  hostFd: number,
  others: () => readonly Subscription[],
  changed: (change: HostChange) => void,
): () => void {
  const buffer = Buffer.allocUnsafe(bufferBytes);
  const host = subscribe(hostFd, ofHost, { decode: decodeChange, missed: { kind: 'unknown' } });
  const timer = setInterval(() => {
    const all = [...host, ...others()];
    const waiting = readable(all.map(({ fd }) => fd));
    const due = all.filter((_, position) => waiting[position]);
    for (const change of due.flatMap((subscription) => readChanges(subscription, buffer))) changed(change);
  }, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const subscription of host) subscription.close();
  };
}

function readChanges({ fd, decode, missed }: Subscription, buffer: Buffer): HostChange[] {
  const changes: HostChange[] = [];
  try {
    for (let reads = 0; reads < mostPerLook; reads += 1) {
      const bytes = buffer.subarray(0, readSync(fd, buffer, 0, bufferBytes, null));
      changes.push(...decodeMessages(bytes).flatMap((message) => decode(message) ?? []));
    }
  } catch (error) {
    const nothingLeft = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
    if (!nothingLeft) changes.push(missed);
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
function decodeChange(message: Message): HostChange | undefined {
  const { type, body } = message;
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
      return isDeletionOfTable(message) ? { kind: 'own filter' } : undefined;
  }
}

function isDeletionOfTable({ type, body }: Message): boolean {
  return type === deletionOfTable && decodeTableName(body) === ownName;
}
