/** Frames as no honest kernel would send them: put together by hand, and sent as they are. */
import { closeSync, openSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { inNamespace } from '../../src/kernel/syscalls.ts';
import { parseAddress } from '../../src/model/address.ts';
import type { Space } from './host.ts';

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)');
const AF_PACKET = 17;
const SOCK_RAW = 3;

/** Sends them out of the container's eth0. */
export function sendFrames(from: Space, frames: readonly Buffer[]): void {
  const index = Number(from.run('cat /sys/class/net/eth0/ifindex'));
  const place = Buffer.alloc(20);
  place.writeUInt16LE(AF_PACKET, 0);
  place.writeUInt32LE(index, 4);
  const namespace = openSync(from.file, 'r');
  const descriptor = Number(inNamespace(namespace, () => socket(AF_PACKET, SOCK_RAW, 0)));
  closeSync(namespace);
  if (descriptor < 0 || bind(descriptor, place, place.length) !== 0) throw new Error('no packet socket');
  for (const frame of frames) writeSync(descriptor, frame);
  closeSync(descriptor);
}

export function ethernet(source: string, destination: string, type: number, content: Buffer): Buffer {
  return Buffer.concat([mac(destination), mac(source), u16(type), content]);
}

/** An echo request of either family, by the addresses. */
export function echoRequest(
  macs: { readonly from: string; readonly to: string },
  source: string,
  destination: string,
): Buffer {
  const rest = Buffer.concat([u16(7), u16(1), Buffer.alloc(16)]);
  if (source.includes(':')) {
    return ethernet(macs.from, macs.to, 0x86dd, icmpv6(128, source, destination, rest, 64));
  }
  const message = withChecksum(Buffer.concat([Buffer.of(8, 0, 0, 0), rest]), Buffer.alloc(0), 2);
  return ethernet(macs.from, macs.to, 0x0800, ipv4(1, source, destination, message));
}

/** To a port where nobody listens. */
export function datagram(
  macs: { readonly from: string; readonly to: string },
  source: string,
  destination: string,
): Buffer {
  const content = Buffer.concat([u16(9), u16(9), u16(16), Buffer.alloc(10)]);
  return ethernet(macs.from, macs.to, 0x0800, ipv4(17, source, destination, content));
}

function ipv4(protocol: number, source: string, destination: string, content: Buffer): Buffer {
  const length = u16(20 + content.length);
  const ip = Buffer.concat([Buffer.of(0x45, 0), length, Buffer.of(0, 0, 0, 0, 64, protocol, 0, 0)]);
  const header = Buffer.concat([ip, bytesOf(source), bytesOf(destination)]);
  return Buffer.concat([withChecksum(header, Buffer.alloc(0), 10), content]);
}

/** ARP by which the sender says that an address is at a MAC. */
export function arp(
  operation: 'request' | 'reply',
  claim: { readonly mac: string; readonly address: string },
  to: { readonly mac: string; readonly address: string },
  from = claim.mac,
): Buffer {
  const head = Buffer.from(`000108000604000${operation === 'request' ? 1 : 2}`, 'hex');
  const pairs = [mac(claim.mac), bytesOf(claim.address), mac(to.mac), bytesOf(to.address)];
  return ethernet(from, to.mac, 0x0806, Buffer.concat([head, ...pairs]));
}

const kinds = {
  'router-advert': 134,
  'neighbor-solicit': 135,
  'neighbor-advert': 136,
  redirect: 137,
} as const;

/** A message about neighbours, with what it says of the target's MAC, or, asking, of the sender's. */
export function neighbourDiscovery(
  kind: keyof typeof kinds,
  macs: { readonly from: string; readonly to: string; readonly told: string },
  addresses: { readonly from: string; readonly to: string; readonly target: string },
): Buffer {
  const { from, to, target } = addresses;
  // Advertised as an answer that overrides what was known; a router, for half an hour.
  const head = Buffer.from(
    kind === 'neighbor-advert' ? '60000000' : kind === 'router-advert' ? '40000708' : '00000000',
    'hex',
  );
  const body = {
    'router-advert': Buffer.alloc(8),
    'neighbor-solicit': bytesOf(target),
    'neighbor-advert': bytesOf(target),
    redirect: Buffer.concat([bytesOf(from), bytesOf(target)]),
  }[kind];
  const isOfTarget = kind === 'neighbor-advert' || kind === 'redirect';
  const option = Buffer.concat([Buffer.of(isOfTarget ? 2 : 1, 1), mac(macs.told)]);
  const packet = icmpv6(kinds[kind], from, to, Buffer.concat([head, body, option]), 255);
  return ethernet(macs.from, macs.to, 0x86dd, packet);
}

function icmpv6(type: number, source: string, destination: string, rest: Buffer, hopLimit: number): Buffer {
  const addresses = Buffer.concat([bytesOf(source), bytesOf(destination)]);
  const message = Buffer.concat([Buffer.of(type, 0, 0, 0), rest]);
  const pseudo = Buffer.concat([addresses, Buffer.of(0, 0), u16(message.length), Buffer.of(0, 0, 0, 58)]);
  const header = Buffer.concat([Buffer.of(0x60, 0, 0, 0), u16(message.length), Buffer.of(58, hopLimit)]);
  return Buffer.concat([header, addresses, withChecksum(message, pseudo, 2)]);
}

/** RFC 1071, over what goes before as well. */
function withChecksum(message: Buffer, before: Buffer, offset: number): Buffer {
  const all = Buffer.concat([before, message, Buffer.alloc(message.length % 2)]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  message.writeUInt16BE(~sum & 0xffff, offset);
  return message;
}

function bytesOf(address: string): Buffer {
  const { family, value } = parseAddress(address);
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}
