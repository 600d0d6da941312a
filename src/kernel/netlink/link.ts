/** Links: veth pairs, bridges, vxlan devices (struct ifinfomsg, IFLA_* attributes). */

import { containerEndGroup } from '../mark.ts';
import type { Link } from '../state.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  mac,
  nested,
  networkU16,
  readMac,
  readText,
  text,
  u8,
  u32,
} from './attribute.ts';
import { addressFamily, readAddress, wireAddress } from './ip.ts';
import { NLM_F, type Request } from './message.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFF_UP = 1;
const RTEXT_FILTER_SKIP_STATS = 8;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  MASTER: 10,
  LINKINFO: 18,
  AF_SPEC: 26,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
} as const;
const INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;
const VXLAN = { ID: 1, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17 } as const;
const BRIDGE = { MCAST_SNOOPING: 23, VLAN_DEFAULT_PVID: 39 } as const;
const PORT = { LEARNING: 8, UNICAST_FLOOD: 9, NEIGH_SUPPRESS: 32 } as const;
const VETH_INFO_PEER = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IPV4_DEVCONF_RP_FILTER = 8;
const IPV4_DEVCONF_ROUTE_LOCALNET = 26;

/** A link as the kernel tells it. */
export interface KernelLink {
  readonly index: number;
  readonly name: string;
  /** Text of the kernel's; empty for a physical device. */
  readonly kind: string;
  readonly mtu: number;
  readonly mac: string;
  readonly up: boolean;
  /** 0 = none. */
  readonly masterIndex: number;
  readonly group: number;
  readonly reversePathFilter: number;
  readonly routesLoopback: boolean;
  /** Absent where the link, or the kernel, has no IPv6. */
  readonly addressGeneration?: number;
  readonly vxlan?: { readonly vni: number; readonly local: string; readonly port: number };
  /** As a bridge port. */
  readonly suppressNeighbours: boolean;
}

/** Where a link and its peer are born, if not in the namespace of the socket that asks for it. */
export interface Birthplace {
  readonly linkNamespaceFd?: number;
  readonly peerNamespaceFd?: number;
}

/** The link as far as it must be decided at birth; `finishLink` does the rest. */
export function createLink(link: Link, birthplace: Birthplace): Request {
  const attributes: Attribute[] = [
    [IFLA.IFNAME, text(link.name)],
    [IFLA.ADDRESS, mac(link.mac)],
    [IFLA.MTU, u32(birthMtu(link))],
    [
      IFLA.LINKINFO,
      [
        [INFO.KIND, Buffer.from(link.kind)],
        [INFO.DATA, kindAttributes(link, birthplace)],
      ],
    ],
  ];
  if (birthplace.linkNamespaceFd !== undefined) {
    attributes.push([IFLA.NET_NS_FD, u32(birthplace.linkNamespaceFd)]);
  }
  return request(RTM_NEWLINK, NLM_F.CREATE | NLM_F.EXCLUSIVE | NLM_F.ACK, header({}), attributes);
}

/**
 * A bridge takes the least MTU of its ports until it has been changed to one (net/bridge/br_device.c,
 * br_change_mtu), and being born with one does not count.
 */
function birthMtu(link: Link): number {
  return link.kind === 'bridge' ? link.mtu - 1 : link.mtu;
}

function kindAttributes(link: Link, { peerNamespaceFd }: Birthplace): readonly Attribute[] | Buffer {
  switch (link.kind) {
    case 'veth': {
      if (link.peer === undefined) return [];
      const peer: Attribute[] = [
        [IFLA.IFNAME, text(link.peer.name)],
        [IFLA.ADDRESS, mac(link.peer.mac)],
        [IFLA.MTU, u32(link.peer.mtu)],
      ];
      if (link.peer.staysWithHost !== true) peer.push([IFLA.GROUP, u32(containerEndGroup)]);
      if (peerNamespaceFd !== undefined) peer.push([IFLA.NET_NS_FD, u32(peerNamespaceFd)]);
      return [[VETH_INFO_PEER, Buffer.concat([header({}), encodeAttributes(peer)])]];
    }
    case 'bridge':
      // No VLANs: with a default one the kernel keeps every forwarding entry twice.
      return [
        [BRIDGE.MCAST_SNOOPING, u8(0)],
        [BRIDGE.VLAN_DEFAULT_PVID, Buffer.alloc(2)],
      ];
    case 'vxlan': {
      const { family, bytes } = wireAddress(link.local);
      return [
        [VXLAN.ID, u32(link.vni)],
        [family === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, bytes],
        [VXLAN.PORT, networkU16(link.port)],
        [VXLAN.LEARNING, u8(0)],
      ];
    }
  }
}

/**
 * What makes an existing link as desired; none when it is. The MAC is sent only when it differs: the kernel
 * flushes all neighbours of a link, permanent ones too, whenever one is set. A link goes up last, when it can
 * no longer give itself an IPv6 link-local address; and a port's properties need the port to exist.
 */
export function finishLink(actual: KernelLink, desired: Link, masterIndex: number): Request[] {
  const properties: Attribute[] = [];
  if (actual.mtu !== desired.mtu) properties.push([IFLA.MTU, u32(desired.mtu)]);
  if (actual.mac !== desired.mac) properties.push([IFLA.ADDRESS, mac(desired.mac)]);
  if (actual.masterIndex !== masterIndex) properties.push([IFLA.MASTER, u32(masterIndex)]);
  const perFamily = familyAttributes(actual, desired);
  if (perFamily.length > 0) properties.push([IFLA.AF_SPEC, perFamily]);

  const suppress = desired.kind === 'vxlan' && desired.suppressNeighbours;
  const portProperties: Attribute[] = [];
  if (masterIndex !== 0 && desired.kind === 'vxlan' && actual.suppressNeighbours !== suppress) {
    const port: Attribute[] = [
      [PORT.LEARNING, u8(0)],
      [PORT.UNICAST_FLOOD, u8(0)],
      [PORT.NEIGH_SUPPRESS, u8(suppress ? 1 : 0)],
    ];
    portProperties.push([
      IFLA.LINKINFO,
      [
        [INFO.SLAVE_KIND, Buffer.from('bridge')],
        [INFO.SLAVE_DATA, port],
      ],
    ]);
  }

  const { index } = actual;
  const requests: Request[] = [];
  if (properties.length > 0) requests.push(request(RTM_NEWLINK, NLM_F.ACK, header({ index }), properties));
  if (portProperties.length > 0 || actual.up !== desired.up) {
    const flags = desired.up ? IFF_UP : 0;
    requests.push(request(RTM_NEWLINK, NLM_F.ACK, header({ index, flags, changed: IFF_UP }), portProperties));
  }
  return requests;
}

function familyAttributes(actual: KernelLink, desired: Link): Attribute[] {
  const attributes: Attribute[] = [];
  const settings = ipv4Settings(actual, desired);
  if (settings.length > 0) attributes.push([addressFamily[4], [[IFLA_INET_CONF, settings]]]);
  const generation = actual.addressGeneration;
  if (generation !== undefined && generation !== IN6_ADDR_GEN_MODE_NONE) {
    const none: Attribute = [IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE)];
    attributes.push([addressFamily[6], [none]]);
  }
  return attributes;
}

function ipv4Settings(actual: KernelLink, desired: Link): Attribute[] {
  const settings: Attribute[] = [];
  const wanted = sourceFilterOf(desired);
  // Left as it is unless it does the one thing that is wanted of it, or that is not.
  const ofInterest = desired.kind === 'vxlan' ? 2 : 1;
  if (wanted !== undefined && (actual.reversePathFilter === ofInterest) !== (wanted === ofInterest)) {
    settings.push([IPV4_DEVCONF_RP_FILTER, u32(wanted)]);
  }
  const routesLoopback = desired.kind === 'veth' && desired.routesLoopback === true;
  if (desired.kind === 'veth' && actual.routesLoopback !== routesLoopback) {
    settings.push([IPV4_DEVCONF_ROUTE_LOCALNET, u32(routesLoopback ? 1 : 0)]);
  }
  return settings;
}

/** rp_filter: 0 off, 1 strict, 2 loose; undefined where it does not matter. */
function sourceFilterOf(link: Link): 0 | 1 | 2 | undefined {
  switch (link.kind) {
    case 'veth':
      return link.strictSource ? 1 : 0;
    case 'vxlan':
      return link.looseSource ? 2 : 0;
    case 'bridge':
      return undefined;
  }
}

/** Loopback is born down. */
export function raiseLoopback(): Request {
  return request(RTM_NEWLINK, NLM_F.ACK, header({ index: 1, flags: IFF_UP, changed: IFF_UP }), []);
}

export function deleteLink(name: string): Request {
  return request(RTM_DELLINK, NLM_F.ACK, header({}), [[IFLA.IFNAME, text(name)]]);
}

/**
 * Deletes many at once: they are gathered in a group, and the group is deleted. The kernel then waits once for
 * all of them (about 1 ms each, where one by one takes 15). Nothing is left in the group if this is one send.
 */
export function deleteLinks(names: readonly string[], group: number): Request[] {
  const gather = names.map((name) =>
    request(RTM_NEWLINK, NLM_F.ACK, header({}), [
      [IFLA.IFNAME, text(name)],
      [IFLA.GROUP, u32(group)],
    ]),
  );
  return [...gather, request(RTM_DELLINK, NLM_F.ACK, header({}), [[IFLA.GROUP, u32(group)]])];
}

/** Asks for one link. */
export function getLink(by: { readonly name: string } | { readonly index: number }): Request {
  const attributes: Attribute[] = [[IFLA.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS)]];
  if ('name' in by) attributes.push([IFLA.IFNAME, text(by.name)]);
  return request(RTM_GETLINK, NLM_F.ACK, header('index' in by ? { index: by.index } : {}), attributes);
}

export function dumpLinks(): Request {
  return request(RTM_GETLINK, NLM_F.DUMP, header({}), [[IFLA.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS)]]);
}

export function decodeLink(body: Buffer): KernelLink {
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const info = nested(attributes, IFLA.LINKINFO);
  const kind = readText(info.get(INFO.KIND) ?? Buffer.alloc(0));
  const port = nested(info, INFO.SLAVE_DATA);
  const perFamily = nested(attributes, IFLA.AF_SPEC);
  const inet = nested(perFamily, addressFamily[4]).get(IFLA_INET_CONF);
  const generation = nested(perFamily, addressFamily[6]).get(IFLA_INET6_ADDR_GEN_MODE);
  return {
    index: body.readInt32LE(4),
    name: readText(attributes.get(IFLA.IFNAME) ?? Buffer.alloc(0)),
    kind,
    mtu: attributes.get(IFLA.MTU)?.readUInt32LE() ?? 0,
    mac: readMac(attributes.get(IFLA.ADDRESS) ?? Buffer.alloc(0)),
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    masterIndex: attributes.get(IFLA.MASTER)?.readUInt32LE() ?? 0,
    group: attributes.get(IFLA.GROUP)?.readUInt32LE() ?? 0,
    reversePathFilter: setting(inet, IPV4_DEVCONF_RP_FILTER),
    routesLoopback: setting(inet, IPV4_DEVCONF_ROUTE_LOCALNET) !== 0,
    ...(generation === undefined ? {} : { addressGeneration: generation.readUInt8() }),
    ...(kind === 'vxlan' ? { vxlan: decodeVxlan(nested(info, INFO.DATA)) } : {}),
    suppressNeighbours: port.get(PORT.NEIGH_SUPPRESS)?.readUInt8() === 1,
  };
}

/** Of an array with one u32 a setting, the first being number 1. */
function setting(settings: Buffer | undefined, number: number): number {
  return settings?.readUInt32LE((number - 1) * 4) ?? 0;
}

function decodeVxlan(attributes: ReadonlyMap<number, Buffer>) {
  const local = attributes.get(VXLAN.LOCAL) ?? attributes.get(VXLAN.LOCAL6);
  return {
    vni: attributes.get(VXLAN.ID)?.readUInt32LE() ?? 0,
    local: local === undefined ? '' : readAddress(local),
    port: attributes.get(VXLAN.PORT)?.readUInt16BE() ?? 0,
  };
}

const headerBytes = 16;

function header({ index = 0, flags = 0, changed = 0 }): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(changed, 12);
  return bytes;
}

function request(type: number, flags: number, fixed: Buffer, attributes: readonly Attribute[]): Request {
  return { type, flags, body: Buffer.concat([fixed, encodeAttributes(attributes)]) };
}
