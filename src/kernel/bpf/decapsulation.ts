/**
 * Takes VXLAN off a datagram that has come for a container of a segment, and leads what was in it into the segment's
 * namespace, by the door there: past the host's packet filter, UDP, and the vxlan device with its queue. A host that may
 * send so has an entry, and so has each segment at each port.
 *
 * Only datagrams: of a large packet that is cut up at its link, the kernel would not forget that it was one of VXLAN, and
 * what is not cut up must not overtake it.
 */
import { segmentAddress } from '../../model/names.ts';
import { wireAddress } from '../netlink/ip.ts';
import { call, exit, jump, jumpIf, label, load, type Statement, set, store } from './assembler.ts';
import { entryLayout } from './entry.ts';
import {
  ethernet,
  ethernetBytes,
  headers,
  helper,
  ip,
  isAtThisLink,
  lookUp,
  packet,
  packetRegister,
  pointer,
  readPacket,
  stack,
  swapped,
  transports,
  udpBytes,
  udpDestination,
} from './packet.ts';

/** RFC 7348; of the flags, that it has a VNI, and nothing else. */
const vxlan = { bytes: 8, flags: udpBytes, vni: udpBytes + 4 } as const;
const VXLAN_HF_VNI = 0x08;
const frame = stack.inside + udpBytes + vxlan.bytes;
/** As much of the IP header inside as tells the protocol, in either family. */
const ipBytes = 10;
const BPF_ADJ_ROOM_MAC = 1;

/** The address by which a segment is known, but for its last eight bytes. */
const known = wireAddress(segmentAddress(0, 0)).bytes;

/** Of the same family outside and inside: the kernel is told of no other. The entry of the host itself is in r0. */
export const decapsulation: readonly Statement[] = [
  load(8, 'r8', 'r0', entryLayout.network),
  load(4, 'r2', packetRegister, packet.segmentSize),
  jumpIf('r2', '!=', 0, 'ordinary'),
  load(2, 'r9', 'fp', stack.frame + ethernet.type),
  ...headers.map(({ name, etherType }) => jumpIf('r9', '==', swapped(etherType), `in ${name}`)),
  ...headers.flatMap(({ name, bytes, protocol }) => [
    label(`in ${name}`),
    load(1, 'r2', 'fp', ip + protocol),
    jumpIf('r2', '!=', transports.udp, 'ordinary'),
    ...readPacket(ethernetBytes + bytes, stack.inside, udpBytes + vxlan.bytes + ethernetBytes + ipBytes),
    load(1, 'r2', 'fp', frame + ethernetBytes + protocol),
    set('r7', -(bytes + udpBytes + vxlan.bytes + ethernetBytes)),
    jump('inside'),
  ]),
  label('inside'),
  jumpIf('r2', '!=', transports.udp, 'ordinary'),
  load(2, 'r2', 'fp', frame + ethernet.type),
  jumpIf('r2', '!=', 'r9', 'ordinary'),
  load(1, 'r2', 'fp', stack.inside + vxlan.flags),
  jumpIf('r2', '!=', VXLAN_HF_VNI, 'ordinary'),
  store(4, 'fp', stack.destination, known.readInt32LE(0)),
  store(4, 'fp', stack.destination + 4, known.readInt32LE(4)),
  store(2, 'fp', stack.destination + 8, 0),
  load(2, 'r2', 'fp', stack.inside + udpDestination),
  store(2, 'fp', stack.destination + 10, 'r2'),
  load(4, 'r2', 'fp', stack.inside + vxlan.vni),
  store(4, 'fp', stack.destination + 12, 'r2'),
  ...lookUp('port', stack.destination, 'ordinary'),
  load(4, 'r9', 'r0', entryLayout.linkIndex),
  ...lookUp('prefix', stack.source, 'ordinary'),
  ...isAtThisLink,
  load(8, 'r2', 'r0', entryLayout.network),
  jumpIf('r2', '!=', 'r8', 'ordinary'),
  set('r1', packetRegister),
  set('r2', 'r7'),
  set('r3', BPF_ADJ_ROOM_MAC),
  set('r4', 0),
  call(helper.adjustRoom),
  jumpIf('r0', '!=', 0, 'ordinary'),
  set('r1', packetRegister),
  set('r2', 0),
  ...pointer('r3', frame),
  set('r4', ethernetBytes),
  set('r5', 0),
  call(helper.storeBytes),
  set('r1', 'r9'),
  set('r2', 0),
  call(helper.redirectToPeer),
  exit,
];
