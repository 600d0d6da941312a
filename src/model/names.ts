/**
 * Names and MACs that weft gives to kernel objects. All are derived, so that a weft that restarts with no
 * memory recognises its own; a link name holds 15 bytes (IFNAMSIZ less the NUL).
 */
import { createHash } from 'node:crypto';
import { parseAddress, printAddress } from './address.ts';

/** The endpoint's end that stays with the host: in its namespace, or in the network's own. */
export function hostEnd(endpointId: string): string {
  return `weft${endpointId.slice(0, 10)}h`;
}

/** The end that Docker moves into the container and renames. */
export function containerEnd(endpointId: string): string {
  return `weft${endpointId.slice(0, 10)}c`;
}

/** The host's end of a segment's leg. */
export function legEnd(leg: number): string {
  return `weft-g${leg}`;
}

/** The host's end of a segment's door. */
export function doorEnd(vni: number): string {
  return `weft-d${vni}`;
}

/** No packet bears it: the host's shortcut finds the door of a segment by it, and the port is that of VXLAN. */
export function segmentAddress(vni: number, port: number): string {
  const value = 0xfd57_6566_7400_0001_0000_0000_0000_0000n + (BigInt(port) << 32n) + (BigInt(vni) << 8n);
  return printAddress({ family: 6, value });
}

/** The namespace of a network that has one of its own; the VNI is unique in the cluster. */
export function namespaceName(vni: number): string {
  return `weft-${vni}`;
}

/** VNIs that weft chooses; below are those that Docker's overlay (from 4096) and flannel (1) choose. */
export const firstVni = 0x57_00_00;

/**
 * MAC of a container, derived from its address: a neighbour entry that outlives the container is right
 * again for the next one with that address. An IPv4 address fits in; of an IPv6 one, as much as there is room
 * for of its digest, since on one segment no two containers may have the same.
 */
export function macOf(address: string): string {
  const { family, value } = parseAddress(address);
  return asMac(family === 4 ? `0257${value.toString(16).padStart(8, '0')}` : `06${digest(address, 5)}`);
}

/** MAC of a bridge port: no frame is ever sent to it, but it must be stable to be compared. */
export function portMacOf(name: string): string {
  return asMac(`025c${digest(name, 4)}`);
}

/** The device by which all routed networks of a host reach the hosts they cannot reach without encapsulation. */
export const tunnelName = 'weft-l3';

/** Its VNI, the same everywhere: the one below those that networks get (`firstVni`). */
export const tunnelVni = 0x56_ff_ff;

/** MACs of the tunnel's ends, derived from the underlay address, so that every host knows all others'. */
export function tunnelMacOf(underlayAddress: string): string {
  const { family, value } = parseAddress(underlayAddress);
  return asMac(`025d${family === 4 ? value.toString(16).padStart(8, '0') : digest(underlayAddress, 4)}`);
}

/** Host end of every routed endpoint, as next hop of the container: never conflicts, one per link. */
export const nextHopMac = 'ee:ee:ee:ee:ee:ee';

/** Every network's bridge. Fixed, or the kernel takes it from a port and flushes the neighbours with it. */
export const bridgeMac = '02:5b:00:00:00:01';

/** By which the shortcut tells networks apart. */
export function shortcutNetwork(key: string): string {
  return digest(key, 8);
}

/** To the shortcut the hosts are a network too, and another is what they lead into segments. */
export const shortcutHosts = shortcutNetwork('weft hosts');
export const shortcutSegments = shortcutNetwork('weft segments');

/** Of a network, an endpoint or a container, as Docker shows it. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

function digest(text: string, bytes: number): string {
  return createHash('sha256')
    .update(text)
    .digest('hex')
    .slice(0, 2 * bytes);
}

function asMac(hex: string): string {
  return (hex.match(/../g) ?? []).join(':');
}
