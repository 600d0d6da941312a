/**
 * Which of its addresses this host is known by to the others, and what fits through that link. Nothing needs
 * to be configured: it is the address from which the kernel reaches the store, since all hosts reach that;
 * a lone host with the store on board takes the one of its default route.
 */
import { lookup } from 'node:dns/promises';
import { WeftError } from '../errors.ts';
import type { HostAddress, Kernel } from '../kernel/kernel.ts';
import { familyOf } from '../model/address.ts';

/** Addresses of the internet (RFC 5737, RFC 3849: unused): nothing is sent, the kernel is only asked the way. */
const anywhere = ['192.0.2.1', '2001:db8::1'];

export interface Uplink {
  readonly address: string;
  /** The link that has it. */
  readonly link: string;
  readonly mac: string;
  /** IPv6 address of the same link, for neighbours only. */
  readonly linkLocal?: string;
  readonly mtu: number;
}

/**
 * @param wished address from the settings
 * @param endpoints URLs of the store
 * @param last what it was: kept while it is there and no route tells otherwise
 * @throws WeftError `internal` while the host has no usable address; to be asked again
 */
export async function findUplink(
  kernel: Pick<Kernel, 'route' | 'addresses' | 'linkLocal'>,
  of: { readonly wished?: string; readonly endpoints: readonly string[]; readonly last?: string },
): Promise<Uplink> {
  const { address, link, linkMtu, linkMac } = await findAddress(kernel, of);
  const linkLocal = await kernel.linkLocal(link);
  return { address, link, mac: linkMac, mtu: linkMtu, ...(linkLocal !== undefined && { linkLocal }) };
}

async function findAddress(
  kernel: Pick<Kernel, 'route' | 'addresses'>,
  of: { readonly wished?: string; readonly endpoints: readonly string[]; readonly last?: string },
): Promise<HostAddress> {
  const { wished, endpoints, last } = of;
  const own = await kernel.addresses();
  if (wished !== undefined) {
    const found = own.find(({ address }) => address === wished);
    if (found !== undefined) return found;
    throw new WeftError(
      'internal',
      `no link of this host has the address ${wished} of WEFT_ADDRESS; correct it, or leave it out`,
    );
  }
  const targets = [...(await Promise.all(endpoints.map(resolve))).flat(), ...anywhere];
  for (const path of await kernel.route(targets)) {
    if (path === undefined || path.link === 'lo') continue;
    const { link, source } = path;
    // Of IPv6 it may be a temporary one, which is gone tomorrow: then the link's lasting one.
    const lasting =
      own.find(({ address }) => address === source) ??
      own.find((other) => other.link === link && familyOf(other.address) === familyOf(source));
    if (lasting !== undefined) return lasting;
  }
  const first = last === undefined ? own[0] : own.find(({ address }) => address === last);
  if (first !== undefined) return first;
  throw new WeftError(
    'internal',
    'this host has no address by which others could reach it; set WEFT_ADDRESS',
  );
}

async function resolve(endpoint: string): Promise<string[]> {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  try {
    return [(await lookup(host)).address];
  } catch {
    // A name that cannot be resolved now says nothing about the uplink; the other ways remain.
    return [];
  }
}
