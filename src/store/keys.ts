/**
 * Where each record lives in the store. Below one prefix:
 *
 *   config
 *   epoch
 *   hosts/<host>                      pools/<pool>
 *   alive/<host>                      pools/<pool>/references/<id>
 *   networks/<network>                claims/<pool>/<cidr>
 *   networks/<network>/hosts/<host>   endpoints/<network>/<endpoint>
 *   recipes/<Docker's name of a network>   names/<network>/<endpoint>
 *   removed/<recipe>                  unwatched/blocks/<pool>/<cidr>
 *
 * A watch ends before `unwatched`, which sorts behind the others: what is written there is told to nobody.
 *
 * A pool is a CIDR, or `<cidr>@<network>` (`model/pool-name.ts`). A CIDR is written with `-` for `/`
 * (`10.77.0.0-16`); any other name is percent-encoded, so that a segment never holds a slash. Prefixes to list or
 * watch end in a slash, so that `net` never matches `net2`.
 */

import { WeftError } from '../errors.ts';
import { parsePrefix, printPrefix } from '../model/address.ts';
import { ownPoolName, parsePoolName } from '../model/pool-name.ts';

/** What a key names. */
export type Place =
  | { readonly kind: 'config' }
  | { readonly kind: 'epoch' }
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'alive'; readonly host: string }
  | { readonly kind: 'network'; readonly network: string }
  | { readonly kind: 'participant'; readonly network: string; readonly host: string }
  | { readonly kind: 'pool'; readonly pool: string }
  | { readonly kind: 'reference'; readonly pool: string; readonly reference: string }
  | { readonly kind: 'claim'; readonly pool: string; readonly block: string }
  | { readonly kind: 'block'; readonly pool: string; readonly block: string }
  | { readonly kind: 'endpoint'; readonly network: string; readonly endpoint: string }
  | { readonly kind: 'recipe'; readonly name: string }
  | { readonly kind: 'removal'; readonly recipe: string }
  | { readonly kind: 'names'; readonly network: string; readonly endpoint: string };

export type Keys = ReturnType<typeof keysBelow>;

/** @param root for example `/weft/v1/`; must end in a slash. */
export function keysBelow(root: string) {
  const key = (...segments: string[]) => root + segments.join('/');
  const prefix = (...segments: string[]) => `${key(...segments)}/`;
  return {
    root,

    config: key('config'),
    epoch: key('epoch'),
    host: (host: string) => key('hosts', name(host)),
    alive: (host: string) => key('alive', name(host)),
    network: (network: string) => key('networks', name(network)),
    participant: (network: string, host: string) => key('networks', name(network), 'hosts', name(host)),
    pool: (pool: string) => key('pools', cidr(pool)),
    reference: (pool: string, reference: string) => key('pools', cidr(pool), 'references', name(reference)),
    claim: (pool: string, block: string) => key('claims', cidr(pool), cidr(block)),
    block: (pool: string, block: string) => key('unwatched', 'blocks', cidr(pool), cidr(block)),
    endpoint: (network: string, endpoint: string) => key('endpoints', name(network), name(endpoint)),
    recipe: (network: string) => key('recipes', name(network)),
    removal: (recipe: string) => key('removed', name(recipe)),
    names: (network: string, endpoint: string) => key('names', name(network), name(endpoint)),

    hosts: prefix('hosts'),
    allAlive: prefix('alive'),
    /** Networks and their participants. */
    networks: prefix('networks'),
    participants: (network: string) => prefix('networks', name(network), 'hosts'),
    /** Pools and their references. */
    pools: prefix('pools'),
    references: (pool: string) => prefix('pools', cidr(pool), 'references'),
    allClaims: prefix('claims'),
    claims: (pool: string) => prefix('claims', cidr(pool)),
    allBlocks: prefix('unwatched', 'blocks'),
    blocks: (pool: string) => prefix('unwatched', 'blocks', cidr(pool)),
    allEndpoints: prefix('endpoints'),
    endpoints: (network: string) => prefix('endpoints', name(network)),
    recipes: prefix('recipes'),
    removals: prefix('removed'),
    namesOn: (network: string) => prefix('names', name(network)),

    /** Where watches end. */
    unwatched: prefix('unwatched'),

    /** What the key names; undefined for a key that this version of weft does not know. */
    parse: (text: string) => (text.startsWith(root) ? parse(text.slice(root.length).split('/')) : undefined),
  };
}

function parse(segments: readonly string[]): Place | undefined {
  if (segments.includes('')) return undefined;
  const [folder, first = '', second = '', third = ''] = segments;
  try {
    switch (`${folder}, ${segments.length} segments`) {
      case 'config, 1 segments':
        return { kind: 'config' };
      case 'epoch, 1 segments':
        return { kind: 'epoch' };
      case 'hosts, 2 segments':
        return { kind: 'host', host: decoded(first) };
      case 'alive, 2 segments':
        return { kind: 'alive', host: decoded(first) };
      case 'networks, 2 segments':
        return { kind: 'network', network: decoded(first) };
      case 'networks, 4 segments':
        if (second !== 'hosts') return undefined;
        return { kind: 'participant', network: decoded(first), host: decoded(third) };
      case 'pools, 2 segments':
        return { kind: 'pool', pool: parsePool(first) };
      case 'pools, 4 segments':
        if (second !== 'references') return undefined;
        return { kind: 'reference', pool: parsePool(first), reference: decoded(third) };
      case 'claims, 3 segments':
        return { kind: 'claim', pool: parsePool(first), block: parseCidr(second) };
      case 'unwatched, 4 segments':
        if (first !== 'blocks') return undefined;
        return { kind: 'block', pool: parsePool(second), block: parseCidr(third) };
      case 'endpoints, 3 segments':
        return {
          kind: 'endpoint',
          network: decoded(first),
          endpoint: decoded(second),
        };
      case 'names, 3 segments':
        return { kind: 'names', network: decoded(first), endpoint: decoded(second) };
      case 'recipes, 2 segments':
        return { kind: 'recipe', name: decoded(first) };
      case 'removed, 2 segments':
        return { kind: 'removal', recipe: decoded(first) };
      default:
        return undefined;
    }
  } catch (error) {
    // Not percent-encoded by weft, or no subnet: so not a key of weft.
    if (error instanceof URIError || error instanceof WeftError) return undefined;
    throw error;
  }
}

const name = encodeURIComponent;
/** Nearly all names are as they were: ids. @throws URIError */
const decoded = (segment: string) => (segment.includes('%') ? decodeURIComponent(segment) : segment);
const cidr = (text: string) => text.replace('/', '-');

/** @throws WeftError `invalid` */
function parseCidr(segment: string): string {
  return printPrefix(parsePrefix(segment.replace('-', '/')));
}

/** @throws WeftError `invalid` */
function parsePool(segment: string): string {
  const { prefix, network } = parsePoolName(segment.replace('-', '/'));
  return network === undefined ? printPrefix(prefix) : ownPoolName(printPrefix(prefix), network);
}
