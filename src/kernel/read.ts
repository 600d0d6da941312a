/** Reading what weft has in a namespace. */
import { WeftError } from '../errors.ts';
import type { Family } from '../model/address.ts';
import type { ShortcutAccess } from './bpf/shortcut.ts';
import { ENODEV } from './errno.ts';
import { containerEndGroup, linkPrefix, protocol } from './mark.ts';
import { decodeAddress, dumpAddresses } from './netlink/address.ts';
import { decodeLink, dumpLinks, getLink, type KernelLink } from './netlink/link.ts';
import { explainVerdict } from './netlink/message.ts';
import { decodeFdbEntry, decodeNeighbour, dumpFdb, dumpNeighbours } from './netlink/neighbour.ts';
import { asRoute, decodeRoute, dumpRoutes } from './netlink/route.ts';
import { decodeRule, dumpRules } from './netlink/rule.ts';
import type { SocketPool } from './netlink/socket.ts';
import type { Link, NamespaceState } from './state.ts';

/** Which links, routes and rules of a namespace are weft's. */
export interface Ownership {
  ownsLink(link: KernelLink): boolean;
  ownsProtocol(protocol: number): boolean;
  /** For the kernel to leave out the others of a dump; 0 = it is not one number. */
  readonly dumpProtocol: number;
}

export const inHostNamespace: Ownership = {
  ownsLink: ({ name, group }) => name.startsWith(linkPrefix) && group !== containerEndGroup,
  ownsProtocol: (origin) => origin === protocol,
  dumpProtocol: protocol,
};

const RTPROT_REDIRECT = 1;
const RTPROT_KERNEL = 2;
const RTPROT_RA = 9;

export const inOwnNamespace: Ownership = {
  ownsLink: ({ name }) => name !== 'lo',
  ownsProtocol: (origin) => ![RTPROT_REDIRECT, RTPROT_KERNEL, RTPROT_RA].includes(origin),
  dumpProtocol: 0,
};

export async function readNamespace(
  sockets: SocketPool,
  families: readonly Family[],
  ownership: Ownership,
  shortcut: ShortcutAccess,
): Promise<NamespaceState> {
  const all = await sockets.dump(dumpLinks(), decodeLink);
  const names = new Map(all.map(({ index, name }) => [index, name]));
  const owned = all.filter((link) => ownership.ownsLink(link));
  const ownedNames = new Map(owned.map(({ index, name }) => [index, name]));
  const nameOf = (index: number) => names.get(index);
  const ownedNameOf = (index: number) => ownedNames.get(index);

  const perFamily = async <T>(dump: (family: Family) => Promise<T[]>) =>
    (await Promise.all(families.map(dump))).flat();
  const [addresses, routes, rules, neighbours, fdb, shortcuts] = await Promise.all([
    perFamily((family) =>
      sockets.dump(dumpAddresses(family), (body) => {
        const address = decodeAddress(body, ownedNameOf);
        return address?.permanent ? address.object : undefined;
      }),
    ),
    perFamily((family) =>
      sockets.dump(dumpRoutes(family, ownership.dumpProtocol), (body) => {
        const route = decodeRoute(body);
        return route && ownership.ownsProtocol(route.protocol) ? asRoute(route, nameOf) : undefined;
      }),
    ),
    perFamily((family) =>
      sockets.dump(dumpRules(family), (body) => {
        const decoded = decodeRule(body);
        return decoded && ownership.ownsProtocol(decoded.protocol) ? decoded.rule : undefined;
      }),
    ),
    perFamily((family) => sockets.dump(dumpNeighbours(family), (body) => decodeNeighbour(body, ownedNameOf))),
    sockets.dump(dumpFdb(), (body) => decodeFdbEntry(body, ownedNameOf)),
    shortcut.read(sockets, all),
  ]);
  const links = owned.flatMap((link) => asLink(link, nameOf));
  return { links, addresses, routes, rules, neighbours, fdb, ...shortcuts };
}

export async function containerEnds(sockets: SocketPool): Promise<string[]> {
  const all = await sockets.dump(dumpLinks(), decodeLink);
  return all.filter(({ group }) => group === containerEndGroup).map(({ name }) => name);
}

export async function hasLink(sockets: SocketPool, name: string): Promise<boolean> {
  const [answer] = await sockets.ask([getLink({ name })]);
  if (answer?.errno === 0) return true;
  if (answer?.errno === ENODEV) return false;
  const why = answer === undefined ? 'no answer' : explainVerdict(answer);
  throw new WeftError('kernel', `could not look for link ${name}: ${why}`);
}

/** In weft's words; none for a kind they do not have. */
function asLink(link: KernelLink, nameOf: (index: number) => string | undefined): Link[] {
  const { name, mtu, mac, up, vxlan, suppressNeighbours } = link;
  const master = nameOf(link.masterIndex);
  const base = { name, mtu, mac, up, ...(master === undefined ? {} : { master }) };
  switch (link.kind) {
    case 'veth':
      return [
        {
          ...base,
          kind: 'veth',
          strictSource: link.reversePathFilter === 1,
          ...(link.routesLoopback ? { routesLoopback: true } : {}),
        },
      ];
    case 'bridge':
      return [{ ...base, kind: 'bridge' }];
    case 'vxlan':
      if (vxlan === undefined) return [];
      return [
        { ...base, kind: 'vxlan', ...vxlan, suppressNeighbours, looseSource: link.reversePathFilter === 2 },
      ];
    default:
      return [];
  }
}
