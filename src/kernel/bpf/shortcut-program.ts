/**
 * What the kernel runs for every packet that comes in by a link of the shortcut. A packet is led past routing, bridge
 * and packet filter only if all of it is known to be allowed: that it is whole, and TCP or UDP; that its sender has its
 * source address, at this link; that its destination is of the same network; and that it fits. Whatever is not, goes
 * on as if there were no shortcut, so refusals and the answers to what is too large are the ordinary way's. ICMP goes
 * that way too: of neighbour discovery the hop limit tells where it comes from, and the shortcut leaves it as it is.
 *
 * `out`: on the link of a container; `in`: on the one by which other hosts' packets come; `door`: where the shortcut of the
 * host has led what it has taken VXLAN off. All look up one and the same two maps: an entry put or deleted turns both
 * directions of a connection at once, as connection tracking needs it.
 */
import { nextHopMac } from '../../model/names.ts';
import { mac } from '../netlink/attribute.ts';
import type { Shortcut } from '../state.ts';
import { call, compute, exit, jump, jumpIf, label, load, type Statement, set, store } from './assembler.ts';
import { decapsulation } from './decapsulation.ts';
import { addressBytes, entryLayout } from './entry.ts';
import {
  ethernet,
  ethernetBytes,
  headers,
  helper,
  ip,
  isAtThisLink,
  lookUp,
  PACKET_HOST,
  packet,
  packetRegister,
  pointer,
  readPacket,
  stack,
  swapped,
  TC_ACT_UNSPEC,
  transports,
  udpBytes,
} from './packet.ts';

/** Of the host's own namespace, where packets are routed; or of a segment's. */
export type Medium = 'routed' | 'segment';

/** A MAC is neither as long as a word, nor where one may begin. */
const partsOfMac = [0, 2, 4];
const tcpLengthOffset = 12;
const shortest = ethernetBytes + headers[0].bytes;

export function shortcutProgram(medium: Medium, side: Shortcut['side']): readonly Statement[] {
  return [
    set(packetRegister, 'r1'),
    load(4, 'r2', packetRegister, packet.vlanPresent),
    jumpIf('r2', '!=', 0, 'ordinary'),
    ...(medium === 'routed' ? isForThisHost : []),
    ...readHeaders,
    ...measureLength,
    ...(side === 'out' ? fromContainer(medium) : fromOtherHost(medium, side)),
    label('ordinary'),
    ...(side === 'door' ? toDevice : goOn),
  ];
}

const BPF_F_INGRESS = 1;
const goOn = [set('r0', TC_ACT_UNSPEC), exit];

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

function fromOtherHost(medium: Medium, side: 'in' | 'door'): Statement[] {
  return [
    // First what costs the same however many there are: nearly all that is for the host itself ends there.
    ...lookUp('port', stack.destination, 'ordinary'),
    set('r9', 'r0'),
    ...(medium === 'routed' ? isForContainer : []),
    ...lookUp('prefix', stack.source, 'ordinary'),
    ...(side === 'door' ? [] : isAtThisLink),
    load(8, 'r8', 'r0', entryLayout.network),
    set('r0', 'r9'),
    ...mayTake[medium],
    ...deliver[medium],
    ...(medium === 'routed' ? [label('for the host'), ...decapsulation] : []),
  ];
}

/** What is for the host itself has its link. */
const isForContainer = [
  load(4, 'r2', packetRegister, packet.linkIndex),
  load(4, 'r3', 'r0', entryLayout.linkIndex),
  jumpIf('r2', '==', 'r3', 'for the host'),
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

/** As if the device of the segment had taken VXLAN off; the ordinary way begins there. */
const toDevice = [
  store(8, 'fp', stack.destination, 0),
  store(8, 'fp', stack.destination + 8, 0),
  ...lookUp('port', stack.destination, 'nowhere'),
  load(4, 'r1', 'r0', entryLayout.linkIndex),
  set('r2', BPF_F_INGRESS),
  call(helper.redirect),
  exit,
  label('nowhere'),
  ...goOn,
];

function hasMac(end: number): Statement[] {
  return partsOfMac.flatMap((at) => [
    load(2, 'r2', 'fp', stack.frame + end + at),
    load(2, 'r3', 'r0', entryLayout.mac + at),
    jumpIf('r2', '!=', 'r3', 'ordinary'),
  ]);
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
