/**
 * Which of its addresses this host is known by to the others, and what fits through that link. Nothing needs
 * to be configured: it is the address from which the kernel reaches the store, since all hosts reach that;
 * a lone host with the store on board takes the one of its default route.
 */
import { lookup } from 'node:dns/promises';
import { WeftError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** Some address of the internet (RFC 5737 keeps it unused): nothing is sent, the kernel is only asked the way. */
const anywhere = '192.0.2.1';

export interface Uplink {
  readonly address: string;
  /** The link that has it. */
  readonly link: string;
  readonly mtu: number;
}

/**
 * @param wished address from the settings
 * @param endpoints URLs of the store
 * @param last what it was: kept while it is there and no route tells otherwise
 * @throws WeftError `internal` while the host has no usable address; to be asked again
 */
export async function findUplink(
  kernel: Pick<Kernel, 'route' | 'addresses'>,
  of: { readonly wished?: string; readonly endpoints: readonly string[]; readonly last?: string },
): Promise<Uplink> {
  const { wished, endpoints, last } = of;
  const own = (await kernel.addresses()).map(({ address, link, linkMtu: mtu }) => ({ address, link, mtu }));
  const byAddress = (address?: string) => own.find((candidate) => candidate.address === address);
  if (wished !== undefined) {
    const found = byAddress(wished);
    if (found !== undefined) return found;
    throw new WeftError(
      'internal',
      `no link of this host has the address ${wished} of WEFT_ADDRESS; correct it, or leave it out`,
    );
  }
  const targets = [...(await Promise.all(endpoints.map(resolve))).flat(), anywhere];
  for (const path of await kernel.route(targets)) {
    if (path === undefined || path.link === 'lo') continue;
    const found = byAddress(path.source);
    if (found !== undefined) return found;
  }
  const first = last === undefined ? own[0] : byAddress(last);
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
