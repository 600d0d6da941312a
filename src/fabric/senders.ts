/**
 * Who may send what: a container only from its own MAC and addresses, whatever its fabric. One element an
 * endpoint and address, looked up at once; nothing is sent through a link that has none.
 */
import type { NftChain, NftElements, NftSet, NftTable } from '../kernel/nft.ts';
import { type Family, familyOf, linkLocalOf, parseAddress } from '../model/address.ts';
import { hostEnd } from '../model/names.ts';
import type { Endpoint } from '../model/records.ts';
import { nftFamilies, perFamily } from './nft-family.ts';

type Sender = Pick<Endpoint, 'id' | 'mac' | 'addresses'>;

/** Links of weft's that are no container's: what comes from them was looked at where it was sent. */
const ownLinks = 'iifname "weft-*" accept';

/**
 * A container is no router, and tells its neighbours of no addresses but its own, whatever bears the message (RFC 4861):
 * it is the target that they believe. From no address at all it may ask whether somebody has the one that it is about to
 * take (RFC 4862).
 */
const neighbourDiscovery = [
  'icmpv6 type { nd-router-advert, nd-redirect } drop',
  'icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @targets6 drop',
  'ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . ether saddr @ports accept',
];

/** What must be in the sets for the endpoint to be heard. */
export function sendersOf(endpoint: Sender): NftElements[] {
  const places = [{ set: portSet, elements: [portOf(endpoint)] }];
  const sources = perFamily((family) => [
    { set: addressSet(family), elements: elementsOf(endpoint, family) },
  ]);
  const targets = { set: targetSet, elements: targetsOf(endpoint) };
  return [...places, ...sources, targets].filter(({ elements }) => elements.length > 0);
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
        ...neighbourDiscovery,
        ...perFamily((family, { expression }) => [
          `iifname . ether saddr . ${expression} saddr @senders${family} accept`,
        ]),
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
          ...neighbourDiscovery,
          ...perFamily((family, { expression }) => [
            `iifname . ether saddr . ${expression} saddr @senders${family} accept`,
          ]),
          `${arp} accept`,
        ],
      },
    ],
  };
}

const portSet = { name: 'ports', type: ['ifname', 'ether_addr'] } as const;
/** The addresses of `senders6`, as what nft has no type for: the target in a message about neighbours. */
const targetSet = { name: 'targets6', type: ['ifname', 'ether_addr', 'integer'] } as const;

function addressSet(family: Family) {
  return { name: `senders${family}`, type: ['ifname', 'ether_addr', nftFamilies[family].type] };
}

function senderSets(endpoints: readonly Sender[]): NftSet[] {
  const changes = Map.groupBy(endpoints.flatMap(sendersOf), ({ set }) => set.name);
  return [portSet, addressSet(4), addressSet(6), targetSet].map((set) => ({
    ...set,
    interval: false,
    elements: (changes.get(set.name) ?? []).flatMap(({ elements }) => elements),
  }));
}

function elementsOf(endpoint: Sender, family: Family): string[] {
  return sourcesOf(endpoint, family).map((address) => `${portOf(endpoint)} . ${address}`);
}

function targetsOf(endpoint: Sender): string[] {
  return sourcesOf(endpoint, 6).map(
    (address) => `${portOf(endpoint)} . 0x${parseAddress(address).value.toString(16)}`,
  );
}

function sourcesOf({ mac, addresses }: Sender, family: Family): string[] {
  const own = addresses.filter((address) => familyOf(address) === family);
  // Which it gives itself, and answers multicast from.
  return family === 6 && own.length > 0 ? [...own, linkLocalOf(mac)] : own;
}

function portOf({ id, mac }: Sender): string {
  return `${hostEnd(id)} . ${mac}`;
}
