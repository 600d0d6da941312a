/** Asking the kernel how the host stands in the world: its addresses and routes, whoever made them. */
import type { Family } from '../model/address.ts';
import { protocol } from './mark.ts';
import { decodeAddress, dumpAddresses } from './netlink/address.ts';
import { decodeLink, dumpLinks, getLink, type KernelLink } from './netlink/link.ts';
import { asRoute, decodeRoute, dumpRoutes, getRoute, type KernelRoute } from './netlink/route.ts';
import type { SocketPool } from './netlink/socket.ts';
import { inHostNamespace } from './read.ts';

/** The kernel's own answer to how it would reach an address, all its routes and rules considered. */
export interface PathTo {
  /** Outgoing link; `lo` for an address of this host. */
  readonly link: string;
  readonly linkMtu: number;
  /** Next hop; absent = the destination is on the link itself. */
  readonly via?: string;
  /** Address this host would send from. */
  readonly source: string;
}

/** A unicast route of the main table, whoever made it. */
export interface MainRoute {
  /** `0.0.0.0/0` and `::/0` included. */
  readonly destination: string;
  readonly link: string;
  /** Next hop; absent = on-link. */
  readonly via?: string;
  /** Whether weft made it. */
  readonly own: boolean;
}

/** An address by which others may know this host. */
export interface HostAddress {
  /** Without prefix length. */
  readonly address: string;
  readonly link: string;
  readonly linkMtu: number;
  readonly linkMac: string;
}

/** In the order asked; undefined where there is no way, or no address to send from. */
export async function pathsTo(
  sockets: SocketPool,
  destinations: readonly string[],
): Promise<(PathTo | undefined)[]> {
  const answers = await sockets.ask(destinations.map(getRoute));
  const routes = answers.map(({ content: [body] }) => body && decodeRoute(body));
  const indexes = [...new Set(routes.flatMap((route) => route?.linkIndex ?? []))];
  const looked = await sockets.ask(indexes.map((index) => getLink({ index })));
  const links = new Map(
    looked.flatMap(({ content }) => content.map(decodeLink)).map((link) => [link.index, link]),
  );
  return routes.map((route) => {
    const link = links.get(route?.linkIndex ?? 0);
    if (!leadsSomewhere(route) || link === undefined) return undefined;
    const { via, source } = route;
    return { link: link.name, linkMtu: link.mtu, source, ...(via === undefined ? {} : { via }) };
  });
}

const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

function leadsSomewhere(route: KernelRoute | undefined): route is KernelRoute & { readonly source: string } {
  if (route?.source === undefined) return false;
  return route.type === RTN_UNICAST || route.type === RTN_LOCAL;
}

export async function mainRoutes(sockets: SocketPool, families: readonly Family[]): Promise<MainRoute[]> {
  const links = await sockets.dump(dumpLinks(), decodeLink);
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const anyone = 0;
  const dumps = families.map((family) =>
    sockets.dump(dumpRoutes(family, anyone), (body): MainRoute | undefined => {
      const decoded = decodeRoute(body);
      const route = decoded && asRoute(decoded, (index) => names.get(index));
      if (decoded === undefined || route?.link === undefined || route.table !== undefined) return undefined;
      const { destination, link, via } = route;
      const own = decoded.protocol === protocol;
      return { destination, link, own, ...(via === undefined ? {} : { via }) };
    }),
  );
  return (await Promise.all(dumps)).flat();
}

/** Undefined where the link has none, or is not there. */
export async function linkLocalOf(sockets: SocketPool, link: string): Promise<string | undefined> {
  const all = await sockets.dump(dumpLinks(), decodeLink);
  const names = new Map(all.map(({ index, name }) => [index, name]));
  const addresses = await sockets.dump(dumpAddresses(6), (body) =>
    decodeAddress(body, (index) => names.get(index)),
  );
  const found = addresses.find(({ object }) => object.link === link && object.address.startsWith('fe80:'));
  return found?.object.address.replace(/\/.*/, '');
}

/** Those of global scope on the host's links, loopback's last; not those of weft's links. */
export async function hostAddresses(
  sockets: SocketPool,
  families: readonly Family[],
): Promise<HostAddress[]> {
  const all = await sockets.dump(dumpLinks(), decodeLink);
  const links = new Map(all.map((link) => [link.index, link]));
  const dumps = families.map((family) =>
    sockets.dump(dumpAddresses(family), (body) => decodeAddress(body, (index) => links.get(index)?.name)),
  );
  const addresses = (await Promise.all(dumps))
    .flat()
    .filter(({ object, temporary }) => object.scope === 'global' && !temporary);
  const isLoopback = ({ name }: KernelLink) => Number(name === 'lo');
  return all
    .toSorted((a, b) => isLoopback(a) - isLoopback(b))
    .filter((link) => !inHostNamespace.ownsLink(link))
    .flatMap(({ name, mtu, mac }) =>
      addresses
        .filter(({ object }) => object.link === name)
        .map(({ object }) => ({
          address: object.address.replace(/\/.*/, ''),
          ...{ link: name, linkMtu: mtu, linkMac: mac },
        })),
    );
}
