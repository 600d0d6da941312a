/**
 * Who may send what: a container only from its own MAC and addresses, whatever its fabric. One element an
 * endpoint and address, looked up at once; nothing is sent through a link that has none.
 */
import type { NftChain, NftElements, NftSet, NftTable } from '../kernel/nft.ts';
import { type Family, familyOf, linkLocalOf } from '../model/address.ts';
import { hostEnd } from '../model/names.ts';
import type { Endpoint } from '../model/records.ts';
import { nftFamilies, perFamily } from './nft-family.ts';

type Sender = Pick<Endpoint, 'id' | 'mac' | 'addresses'>;

/** Links of weft's that are no container's: what comes from them was looked at where it was sent. */
const ownLinks = 'iifname "weft-*" accept';

/**
 * What a host asks and tells its neighbours about addresses (RFC 4861) it may send from any of its own, those that
 * it gave itself included. Routers advertise themselves, and containers are none.
 */
const neighbourDiscovery = '{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }';

/** What must be in the sets for the endpoint to be heard. */
export function sendersOf(endpoint: Sender): NftElements[] {
  const places = [{ set: portSet, elements: [`${hostEnd(endpoint.id)} . ${endpoint.mac}`] }];
  const sources = perFamily((family) => [
    { set: addressSet(family), elements: elementsOf(endpoint, family) },
  ]);
  return [...places, ...sources].filter(({ elements }) => elements.length > 0);
}

/** For containers whose packets the host routes: before anything else, connections included, sees them. */
export function routedSenders(endpoints: readonly Sender[]): { sets: NftSet[]; chain: NftChain } {
  return {
    sets: senderSets(endpoints),
    chain: {
      name: 'senders',
      base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
      rules: [
        'iifname != "weft*" accept',
        ownLinks,
        // The host's own loopback may be reachable through its links where ports are published.
        ...perFamily((_, { expression, loopback }) => [`${expression} daddr ${loopback} drop`]),
        ...perFamily((family, { expression }) => [
          `iifname . ether saddr . ${expression} saddr @senders${family} accept`,
        ]),
        `icmpv6 type ${neighbourDiscovery} iifname . ether saddr @ports accept`,
        'drop',
      ],
    },
  };
}

/** For containers on a segment: every frame, of whatever kind, at the port of the bridge. */
export function segmentTable(endpoints: readonly Sender[]): NftTable {
  const arp =
    'iifname . ether saddr . arp saddr ip @senders4 iifname . arp saddr ether . arp saddr ip @senders4';
  return {
    family: 'bridge',
    name: 'weft',
    sets: senderSets(endpoints),
    chains: [
      {
        name: 'senders',
        base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'drop' },
        rules: [
          ownLinks,
          ...perFamily((family, { expression }) => [
            `iifname . ether saddr . ${expression} saddr @senders${family} accept`,
          ]),
          `${arp} accept`,
          `icmpv6 type ${neighbourDiscovery} iifname . ether saddr @ports accept`,
        ],
      },
    ],
  };
}

const portSet = { name: 'ports', type: ['ifname', 'ether_addr'] } as const;

function addressSet(family: Family) {
  return { name: `senders${family}`, type: ['ifname', 'ether_addr', nftFamilies[family].type] };
}

function senderSets(endpoints: readonly Sender[]): NftSet[] {
  const changes = Map.groupBy(endpoints.flatMap(sendersOf), ({ set }) => set.name);
  return [portSet, addressSet(4), addressSet(6)].map((set) => ({
    ...set,
    interval: false,
    elements: (changes.get(set.name) ?? []).flatMap(({ elements }) => elements),
  }));
}

function elementsOf({ id, mac, addresses }: Sender, family: Family): string[] {
  const own = addresses.filter((address) => familyOf(address) === family);
  // Which it gives itself, and answers multicast from.
  const all = family === 6 && own.length > 0 ? [...own, linkLocalOf(mac)] : own;
  return all.map((address) => `${hostEnd(id)} . ${mac} . ${address}`);
}
