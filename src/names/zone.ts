/** The names of one network, to be asked for. */
import { familyOf, parseAddress } from '../model/address.ts';

/** A container on the network. */
export interface Named {
  readonly names: readonly string[];
  /** Each name is also one when followed by a dot and this. */
  readonly domain: string;
  readonly addresses: readonly string[];
}

export type RecordType = 'A' | 'AAAA' | 'PTR';

/** Names are as written, in whatever case, without the dot at the end. */
export interface Zone {
  has(name: string): boolean;
  /** Addresses, or names behind one; none where the name has none of that type. */
  find(name: string, type: RecordType): string[];
}

const typeOfFamily = { 4: 'A', 6: 'AAAA' } as const;
const longestLabel = 63;
const longestName = 253;

export function zoneOf(members: Iterable<Named>): Zone {
  const records = new Map<string, Map<RecordType, Set<string>>>();

  function add(name: string, type: RecordType, data: string): void {
    const known = records.get(name.toLowerCase()) ?? new Map<RecordType, Set<string>>();
    records.set(name.toLowerCase(), known);
    known.set(type, (known.get(type) ?? new Set<string>()).add(data));
  }

  for (const { names, domain, addresses } of members) {
    const told = names.find((name) => isSayable(`${name}.${domain}`));
    for (const address of addresses) {
      for (const name of names.flatMap((name) => [name, `${name}.${domain}`])) {
        if (isSayable(name)) add(name, typeOfFamily[familyOf(address)], address);
      }
      if (told !== undefined) add(reverseName(address), 'PTR', `${told}.${domain}`);
    }
  }
  return {
    has: (name) => records.has(name.toLowerCase()),
    find: (name, type) => [...(records.get(name.toLowerCase())?.get(type) ?? [])],
  };
}

/** Under which name an address is asked for (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(text: string): string {
  const { family, value } = parseAddress(text);
  if (family === 4) return `${text.split('.').toReversed().join('.')}.in-addr.arpa`;
  const digits = value.toString(16).padStart(32, '0');
  return `${[...digits].toReversed().join('.')}.ip6.arpa`;
}

/** Docker takes longer names than can be asked for. */
function isSayable(name: string): boolean {
  const labels = name.split('.').map((label) => Buffer.byteLength(label));
  return (
    Buffer.byteLength(name) <= longestName && labels.every((length) => length > 0 && length <= longestLabel)
  );
}
