/**
 * What weft's packet filter costs with many networks and endpoints: its sets are filled up with elements that
 * no packet ever matches, beside the real ones. Which sets there are, the kernel says.
 */
import type { InstalledNftSet } from '../../../src/kernel/nft.ts';
import { parseNftTable } from '../../../src/kernel/nft-listing.ts';
import type { Host } from '../../lab/host.ts';

const table = ['inet', 'weft'] as const;

export async function fillFilterSets(host: Host, count: number): Promise<void> {
  const listing = await host.exec(['nft', '--json', 'list', 'table', ...table]);
  const sets = (parseNftTable(listing)?.sets ?? []).filter(({ data }) => data === undefined);
  const indexes = Array.from({ length: count }, (_, index) => index);
  const lines = sets.map((set) => {
    const elements = indexes.map((index) => elementOf(set, index));
    return `add element ${table.join(' ')} ${set.name} { ${elements.join(', ')} }`;
  });
  await host.exec(['nft', '--file', '-'], { input: lines.join('\n') });
}

/** For weft to make another: elements of a set of ranges would take the kernel a second a thousand to delete one by one. */
export async function deleteFilterTable(host: Host): Promise<void> {
  await host.exec(['nft', 'delete', 'table', ...table]);
}

export async function hasFilterTable(host: Host): Promise<boolean> {
  const tables = await host.exec(['nft', 'list', 'tables', table[0]]);
  return tables.split('\n').includes(`table ${table.join(' ')}`);
}

/**
 * The same index gives the same element, another index one that does not overlap it.
 * @throws Error for a type of set that is not known here
 */
export function elementOf(
  { type, interval }: Pick<InstalledNftSet, 'type' | 'interval'>,
  index: number,
): string {
  return type.map((field) => fieldOf(field, interval, index)).join(' . ');
}

function fieldOf(type: string, isInterval: boolean, index: number): string {
  const hex = index.toString(16).padStart(8, '0');
  switch (type) {
    case 'ipv4_addr': {
      // From 100.64.0.0/10, which the lab does not use.
      const value = 0x64_40_00_00 + index * 16;
      const address = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
      return isInterval ? `${address}/28` : address;
    }
    case 'ipv6_addr':
      return `fd64::${hex.slice(0, 4)}:${hex.slice(4)}:0${isInterval ? '/112' : ''}`;
    case 'ifname':
      return `"bench${index}"`;
    case 'ether_addr':
      return `02:be:${(hex.match(/../g) ?? []).join(':')}`;
    case 'integer': // 128 bits of a neighbour advertisement: an IPv6 address.
      return `0xfd64${hex.padStart(28, '0')}`;
    default:
      throw new Error(`the bench does not know how to fill a filter set of ${type}`);
  }
}
