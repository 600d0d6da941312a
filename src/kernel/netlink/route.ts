/** Routes of the main table and of weft's own (struct rtmsg, RTA_* attributes). */
import type { Family } from '../../model/address.ts';
import { ownTable, type Route } from '../state.ts';
import { type Attribute, aligned, decodeAttributes, encodeAttributes, nested, u32 } from './attribute.ts';
import { addressFamily, familyOf, readAddress, readPrefix, wireAddress, wirePrefix } from './ip.ts';
import { NLM_F, type Request } from './message.ts';

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RT_TABLE_MAIN = 254;
const anyTable = 0;
const RTNH_F_ONLINK = 4;
const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const;
const RTAX_MTU = 2;
const types = { unicast: 1, unreachable: 7 } as const;
const scopes = { global: 0, link: 253 } as const;
const headerBytes = 12;
const nextHopBytes = 8;

/** Who made a route; 0 in a request matches anyone's. */
export interface RouteOrigin {
  readonly protocol: number;
  readonly metric: number;
}

/** A route as the kernel tells it; of several next hops the first. */
export interface KernelRoute {
  readonly family: Family;
  readonly destination: string;
  /** RTN_*: 1 unicast, 2 local, 7 unreachable. */
  readonly type: number;
  readonly protocol: number;
  readonly table: number;
  /** 0 = none. */
  readonly linkIndex: number;
  readonly via?: string;
  readonly source?: string;
  readonly mtu?: number;
}

/** `linkIndex` 0: the kernel finds the link by the next hop. */
export function putRoute(route: Route, linkIndex: number, origin: RouteOrigin): Request {
  return change(RTM_NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, route, linkIndex, origin);
}

export function deleteRoute(route: Route, origin: RouteOrigin): Request {
  const { destination, type, table } = route;
  const named = { destination, type, ...(table === undefined ? {} : { table }) };
  return change(RTM_DELROUTE, 0, named, 0, origin);
}

function change(type: number, flags: number, route: Route, linkIndex: number, origin: RouteOrigin): Request {
  const { family, bytes, length } = wirePrefix(route.destination);
  const attributes: Attribute[] = [[RTA.DST, bytes]];
  if (route.table !== undefined) attributes.push([RTA.TABLE, u32(route.table)]);
  if (origin.metric !== 0) attributes.push([RTA.PRIORITY, u32(origin.metric)]);
  if (linkIndex !== 0) attributes.push([RTA.OIF, u32(linkIndex)]);
  if (route.via !== undefined) attributes.push(nextHop(family, route.via));
  if (route.source !== undefined) attributes.push([RTA.PREFSRC, wireAddress(route.source).bytes]);
  if (route.mtu !== undefined) attributes.push([RTA.METRICS, [[RTAX_MTU, u32(route.mtu)]]]);
  // A link and a next hop: taken as neighbours, whatever the other routes say.
  const onLink = linkIndex !== 0 && route.via !== undefined ? RTNH_F_ONLINK : 0;
  // Only IPv4 has scopes; a deletion must not name one, or it matches only that (fib_table_delete).
  const scope =
    type === RTM_DELROUTE
      ? anyScope
      : linkIndex !== 0 && route.via === undefined
        ? scopes.link
        : scopes.global;
  const fixed = header({
    family,
    length,
    protocol: origin.protocol,
    scope,
    type: types[route.type],
    flags: onLink,
  });
  return { type, flags: flags | NLM_F.ACK, body: Buffer.concat([fixed, encodeAttributes(attributes)]) };
}

const anyScope = 255;

/** A next hop of the other family has an attribute of its own, with the family in it. */
function nextHop(family: Family, via: string): Attribute {
  const hop = wireAddress(via);
  if (hop.family === family) return [RTA.GATEWAY, hop.bytes];
  return [RTA.VIA, Buffer.concat([Buffer.of(addressFamily[hop.family], 0), hop.bytes])];
}

export function dumpRoutes(family: Family, protocol: number): Request {
  const fixed = header({ family, length: 0, table: anyTable, protocol, scope: 0, type: 0, flags: 0 });
  return { type: RTM_GETROUTE, flags: NLM_F.DUMP, body: fixed };
}

/** Asks which route the kernel would take. */
export function getRoute(destination: string): Request {
  const { family, bytes } = wireAddress(destination);
  // Of the header, only these two may be set.
  const fixed = Buffer.alloc(headerBytes);
  fixed.set([addressFamily[family], bytes.length * 8]);
  const body = Buffer.concat([fixed, encodeAttributes([[RTA.DST, bytes]])]);
  return { type: RTM_GETROUTE, flags: NLM_F.ACK, body };
}

/** Undefined for what is not IP. */
export function decodeRoute(body: Buffer): KernelRoute | undefined {
  const family = familyOf(body.readUInt8(0));
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const hop = firstNextHop(attributes);
  const linkIndex = (attributes.get(RTA.OIF) ?? hop.link)?.readUInt32LE() ?? 0;
  const gateway = hop.attributes.get(RTA.GATEWAY) ?? hop.attributes.get(RTA.VIA)?.subarray(2);
  const source = attributes.get(RTA.PREFSRC);
  const mtu = nested(attributes, RTA.METRICS).get(RTAX_MTU)?.readUInt32LE();
  return {
    family,
    destination: readPrefix(family, attributes.get(RTA.DST), body.readUInt8(1)),
    type: body.readUInt8(7),
    protocol: body.readUInt8(5),
    table: attributes.get(RTA.TABLE)?.readUInt32LE() ?? body.readUInt8(4),
    linkIndex,
    ...(gateway === undefined ? {} : { via: readAddress(gateway) }),
    ...(source === undefined ? {} : { source: readAddress(source) }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

/** Of a route with several (struct rtnexthop each), or the route's own. */
function firstNextHop(attributes: Map<number, Buffer>): { attributes: Map<number, Buffer>; link?: Buffer } {
  const hops = attributes.get(RTA.MULTIPATH);
  if (hops === undefined) return { attributes };
  const first = hops.subarray(0, aligned(hops.readUInt16LE(0)));
  return { attributes: decodeAttributes(first.subarray(nextHopBytes)), link: first.subarray(4, 8) };
}

/** In weft's words; undefined where they have none for it. */
export function asRoute(
  route: KernelRoute,
  nameOf: (linkIndex: number) => string | undefined,
): Route | undefined {
  const { destination, via, source, mtu } = route;
  if (route.table !== RT_TABLE_MAIN && route.table !== ownTable) return undefined;
  const table = route.table === ownTable ? { table: ownTable } : {};
  if (route.type === types.unreachable) return { destination, type: 'unreachable', ...table };
  const link = nameOf(route.linkIndex);
  if (route.type !== types.unicast || link === undefined) return undefined;
  return {
    destination,
    type: 'unicast',
    link,
    ...table,
    ...(via === undefined ? {} : { via }),
    ...(source === undefined ? {} : { source }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

interface Header {
  readonly family: Family;
  readonly length: number;
  /** Main, if absent; where an attribute names one too, that counts. */
  readonly table?: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}

function header({ family, length, table = RT_TABLE_MAIN, protocol, scope, type, flags }: Header): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.set([addressFamily[family], length, 0, 0, table, protocol, scope, type]);
  bytes.writeUInt32LE(flags, 8);
  return bytes;
}
