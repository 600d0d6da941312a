/**
 * What the kernel runs for every packet that comes in by a link of the shortcut. A packet is led past routing, bridge
 * and packet filter only if all of it is known to be allowed: that it is whole, and TCP or UDP; that its sender has its
 * source address, at this link; that its destination is of the same network; and that it fits. Whatever is not, goes
 * on as if there were no shortcut, so refusals and the answers to what is too large are the ordinary way's. ICMP goes
 * that way too: of neighbour discovery the hop limit tells where it comes from, and the shortcut leaves it as it is.
 *
 * `out`: on the link of a container; `in`: on the one by which other hosts' packets come. Both look up one and the same
 * two maps: an entry put or deleted turns both directions of a connection at once, as connection tracking needs it.
 */
import { nextHopMac } from '../../model/names.ts';
import { mac } from '../netlink/attribute.ts';
import type { Shortcut } from '../state.ts';
import {
  call,
  compute,
  exit,
  jump,
  jumpIf,
  label,
  load,
  loadMap,
  type Operand,
  type Register,
  type Statement,
  set,
  store,
} from './assembler.ts';
import { addressBytes, entryLayout, lengthBytes, type MapKind, mapped } from './entry.ts';

/** Of the host's own namespace, where packets are routed; or of a segment's. */
export type Medium = 'routed' | 'segment';

/** bpf-helpers(7), include/uapi/linux/bpf.h. */
const helper = {
  lookUp: 1,
  storeBytes: 9,
  redirect: 23,
  loadBytes: 26,
  changeType: 32,
  redirectToNeighbour: 152,
  redirectToPeer: 155,
} as const;

/** struct __sk_buff; all of four bytes. */
const packet = { length: 0, type: 4, vlanPresent: 20, linkIndex: 40, segmentSize: 176 } as const;
const PACKET_HOST = 0;
const TC_ACT_UNSPEC = -1;

const ethernetBytes = 14;
const ethernet = { destination: 0, source: 6, type: 12 } as const;
/** A MAC is neither as long as a word, nor where one may begin. */
const partsOfMac = [0, 2, 4];
const transports = { tcp: 6, udp: 17 } as const;
const udpBytes = 8;
const tcpLengthOffset = 12;

/** What differs between the families; offsets are from the IP header. */
const headers = [
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
const shortest = ethernetBytes + headers[0].bytes;

/** On the stack, from its end: keys of the maps, each with room for the length in front, and the packet's headers. */
const stack = { destination: -addressBytes, source: -40, frame: -102, scratch: -104 } as const;
const ip = stack.frame + ethernetBytes;

const packetRegister = 'r6';

export function shortcutProgram(medium: Medium, side: Shortcut['side']): readonly Statement[] {
  return [
    set(packetRegister, 'r1'),
    load(4, 'r2', packetRegister, packet.vlanPresent),
    jumpIf('r2', '!=', 0, 'ordinary'),
    ...(medium === 'routed' ? isForThisHost : []),
    ...readHeaders,
    ...measureLength,
    ...(side === 'out' ? fromContainer(medium) : fromOtherHost(medium)),
    label('ordinary'),
    set('r0', TC_ACT_UNSPEC),
    exit,
  ];
}

const isForThisHost = [
  load(4, 'r2', packetRegister, packet.type),
  jumpIf('r2', '!=', PACKET_HOST, 'ordinary'),
];

/** Leaves the keys on the stack, the protocol in r7, and the length of the IP header in r8. */
const readHeaders = [
  ...readPacket(0, stack.frame, shortest),
  load(2, 'r9', 'fp', stack.frame + ethernet.type),
  ...headers.map(({ name, etherType }) => jumpIf('r9', '==', swapped(etherType), name)),
  jump('ordinary'),
  label('IPv4'),
  // No options, and no fragment.
  load(1, 'r2', 'fp', ip),
  jumpIf('r2', '!=', 0x45, 'ordinary'),
  load(2, 'r2', 'fp', ip + 6),
  jumpIf('r2', '&', swapped(0x3fff), 'ordinary'),
  ...readAddresses(headers[0]),
  jump('read'),
  label('IPv6'),
  ...readPacket(shortest, stack.frame + shortest, headers[1].bytes - headers[0].bytes),
  ...readAddresses(headers[1]),
  label('read'),
];

/** Leaves in r7 how long the packet is without Ethernet's header; one that is cut up at its link, its longest part. */
const measureLength = [
  jumpIf('r7', '==', transports.udp, 'transport'),
  jumpIf('r7', '!=', transports.tcp, 'ordinary'),
  label('transport'),
  load(4, 'r9', packetRegister, packet.segmentSize),
  jumpIf('r9', '!=', 0, 'segments'),
  load(4, 'r7', packetRegister, packet.length),
  compute('r7', '+', -ethernetBytes),
  jump('measured'),
  label('segments'),
  compute('r9', '+', 'r8'),
  jumpIf('r7', '==', transports.udp, 'datagrams'),
  compute('r8', '+', ethernetBytes + tcpLengthOffset),
  ...readPacket('r8', stack.scratch, 1),
  // In words of four bytes, in the upper half.
  load(1, 'r7', 'fp', stack.scratch),
  compute('r7', '>>', 2),
  compute('r7', '&', 0x3c),
  compute('r7', '+', 'r9'),
  jump('measured'),
  label('datagrams'),
  set('r7', 'r9'),
  compute('r7', '+', udpBytes),
  label('measured'),
];

function fromContainer(medium: Medium): Statement[] {
  return [
    ...lookUp('port', stack.source, 'ordinary'),
    ...isAtThisLink,
    ...hasMac(ethernet.source),
    load(8, 'r8', 'r0', entryLayout.network),
    ...lookUp('port', stack.destination, 'elsewhere'),
    ...mayTake[medium],
    ...deliver[medium],
    label('elsewhere'),
    ...lookUp('prefix', stack.destination, 'ordinary'),
    ...mayTake[medium],
    ...sendTo[medium],
  ];
}

function fromOtherHost(medium: Medium): Statement[] {
  return [
    // First what costs the same however many there are: all that is for the host itself ends there.
    ...lookUp('port', stack.destination, 'ordinary'),
    set('r9', 'r0'),
    ...lookUp('prefix', stack.source, 'ordinary'),
    ...isAtThisLink,
    load(8, 'r8', 'r0', entryLayout.network),
    set('r0', 'r9'),
    ...mayTake[medium],
    ...deliver[medium],
  ];
}

/** Of the entry that was looked up, which is in r0. */
const isAtThisLink = [
  load(4, 'r2', packetRegister, packet.linkIndex),
  load(4, 'r3', 'r0', entryLayout.linkIndex),
  jumpIf('r2', '!=', 'r3', 'ordinary'),
];

const isAllowed = [
  load(8, 'r2', 'r0', entryLayout.network),
  jumpIf('r2', '!=', 'r8', 'ordinary'),
  load(4, 'r2', 'r0', entryLayout.mtu),
  jumpIf('r2', '<', 'r7', 'ordinary'),
];

/** What is routed has the MAC of this host. */
const mayTake = {
  routed: isAllowed,
  segment: [...isAllowed, ...hasMac(ethernet.destination)],
} as const satisfies Record<Medium, readonly Statement[]>;

const sendTo = {
  routed: [
    load(4, 'r1', 'r0', entryLayout.linkIndex),
    // No next hop: the kernel looks the route up, and answers for a neighbour that is not there.
    ...[set('r2', 0), set('r3', 0), set('r4', 0)],
    call(helper.redirectToNeighbour),
    exit,
  ],
  segment: [load(4, 'r1', 'r0', entryLayout.linkIndex), set('r2', 0), call(helper.redirect), exit],
} as const satisfies Record<Medium, readonly Statement[]>;

const toPeer = [set('r1', 'r9'), set('r2', 0), call(helper.redirectToPeer), exit];

const deliver = {
  routed: [
    load(4, 'r9', 'r0', entryLayout.linkIndex),
    ...partsOfMac.flatMap((at) => [
      load(2, 'r2', 'r0', entryLayout.mac + at),
      store(2, 'fp', stack.frame + ethernet.destination + at, 'r2'),
      store(2, 'fp', stack.frame + ethernet.source + at, mac(nextHopMac).readUInt16LE(at)),
    ]),
    set('r1', packetRegister),
    set('r2', 0),
    ...pointer('r3', stack.frame),
    set('r4', ethernet.type),
    set('r5', 0),
    call(helper.storeBytes),
    ...toPeer,
  ],
  segment: [
    load(4, 'r9', 'r0', entryLayout.linkIndex),
    // At a port of a bridge all is for another.
    set('r1', packetRegister),
    set('r2', PACKET_HOST),
    call(helper.changeType),
    ...toPeer,
  ],
} as const satisfies Record<Medium, readonly Statement[]>;

function hasMac(end: number): Statement[] {
  return partsOfMac.flatMap((at) => [
    load(2, 'r2', 'fp', stack.frame + end + at),
    load(2, 'r3', 'r0', entryLayout.mac + at),
    jumpIf('r2', '!=', 'r3', 'ordinary'),
  ]);
}

/** Leaves the entry in r0. */
function lookUp(map: MapKind, key: number, otherwise: string): Statement[] {
  return [
    loadMap('r1', map),
    ...pointer('r2', map === 'prefix' ? key - lengthBytes : key),
    call(helper.lookUp),
    jumpIf('r0', '==', 0, otherwise),
  ];
}

/** Copies bytes of the packet to the stack. */
function readPacket(from: Operand, to: number, bytes: number): Statement[] {
  return [
    set('r1', packetRegister),
    set('r2', from),
    ...pointer('r3', to),
    set('r4', bytes),
    call(helper.loadBytes),
    jumpIf('r0', '!=', 0, 'ordinary'),
  ];
}

function readAddresses(header: (typeof headers)[number]): Statement[] {
  const addresses = [
    { from: header.source, to: stack.source },
    { from: header.destination, to: stack.destination },
  ];
  const wordBytes = 4;
  const words = (bytes: number) => Array.from({ length: bytes / wordBytes }, (_, n) => n * wordBytes);
  return [
    load(1, 'r7', 'fp', ip + header.protocol),
    set('r8', header.bytes),
    ...addresses.flatMap(({ from, to }) => [
      store(wordBytes, 'fp', to - wordBytes, 8 * addressBytes),
      ...words(header.inFront.length).map((at) =>
        store(wordBytes, 'fp', to + at, header.inFront.readInt32LE(at)),
      ),
      ...words(addressBytes - header.inFront.length).flatMap((at) => [
        load(wordBytes, 'r2', 'fp', ip + from + at),
        store(wordBytes, 'fp', to + header.inFront.length + at, 'r2'),
      ]),
    ]),
  ];
}

function pointer(to: Register, offset: number): Statement[] {
  return [set(to, 'fp'), compute(to, '+', offset)];
}

/** As a number of two bytes that travels lies in memory. */
function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}
