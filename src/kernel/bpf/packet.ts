/** What programs at the entrance of a link read of a packet, and where they keep it. */
import {
  call,
  compute,
  jumpIf,
  load,
  loadMap,
  type Operand,
  type Register,
  type Statement,
  set,
} from './assembler.ts';
import { addressBytes, entryLayout, lengthBytes, type MapKind, mapped } from './entry.ts';

/** bpf-helpers(7), include/uapi/linux/bpf.h. */
export const helper = {
  lookUp: 1,
  storeBytes: 9,
  redirect: 23,
  loadBytes: 26,
  changeType: 32,
  adjustRoom: 50,
  redirectToNeighbour: 152,
  redirectToPeer: 155,
} as const;

/** struct __sk_buff; all of four bytes. */
export const packet = { length: 0, type: 4, vlanPresent: 20, linkIndex: 40, segmentSize: 176 } as const;
export const PACKET_HOST = 0;
export const TC_ACT_UNSPEC = -1;

export const ethernetBytes = 14;
export const ethernet = { destination: 0, source: 6, type: 12 } as const;
export const transports = { tcp: 6, udp: 17 } as const;
export const udpBytes = 8;
export const udpDestination = 2;

/** What differs between the families; offsets are from the IP header. */
export const headers = [
  { name: 'IPv4', etherType: 0x0800, bytes: 20, protocol: 9, source: 12, destination: 16, inFront: mapped },
  {
    name: 'IPv6',
    etherType: 0x86dd,
    bytes: 40,
    protocol: 6,
    source: 8,
    destination: 24,
    inFront: Buffer.alloc(0),
  },
] as const;

/**
 * On the stack, from its end: keys of the maps, each with room for the length in front, and headers; `inside` are those
 * behind the packet's IP header.
 */
export const stack = {
  destination: -addressBytes,
  source: -40,
  frame: -102,
  scratch: -104,
  inside: -148,
} as const;
export const ip = stack.frame + ethernetBytes;

export const packetRegister = 'r6';

/** Leaves the entry in r0. */
export function lookUp(map: MapKind, key: number, otherwise: string): Statement[] {
  return [
    loadMap('r1', map),
    ...pointer('r2', map === 'prefix' ? key - lengthBytes : key),
    call(helper.lookUp),
    jumpIf('r0', '==', 0, otherwise),
  ];
}

/** Of the entry that was looked up, which is in r0. */
export const isAtThisLink = [
  load(4, 'r2', packetRegister, packet.linkIndex),
  load(4, 'r3', 'r0', entryLayout.linkIndex),
  jumpIf('r2', '!=', 'r3', 'ordinary'),
];

/** Copies bytes of the packet to the stack. */
export function readPacket(from: Operand, to: number, bytes: number): Statement[] {
  return [
    set('r1', packetRegister),
    set('r2', from),
    ...pointer('r3', to),
    set('r4', bytes),
    call(helper.loadBytes),
    jumpIf('r0', '!=', 0, 'ordinary'),
  ];
}

export function pointer(to: Register, offset: number): Statement[] {
  return [set(to, 'fp'), compute(to, '+', offset)];
}

/** As a number of two bytes that travels lies in memory. */
export function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
