/** Where subnets come from that nobody asked for by name. */
import { type Family, families, parsePrefix, printPrefix } from '../model/address.ts';
import { records } from '../model/records.ts';
import type { Ipam } from './ipam.ts';
import { change } from './reading.ts';
import type { SubnetRange } from './subnet.ts';

export interface AutomaticSubnets {
  readonly 4: SubnetRange;
  /** Absent: the cluster's own. */
  readonly 6?: SubnetRange;
}

/** RFC 4193, section 3: locally assigned, and 40 random bits. */
const uniqueLocal = { first: 0xfdn << 120n, idBits: 40, idShift: 80n, length: 48 } as const;

/**
 * The range that is set, else the one that the cluster has drawn: at random, so that clusters which are joined
 * one day do not overlap. The first host that needs it draws it, and the store keeps it for all.
 * @throws WeftError as `change`
 */
export async function automaticRange(ipam: Ipam, family: Family): Promise<SubnetRange> {
  const { automatic, keys, random } = ipam;
  const set = automatic[family];
  if (set !== undefined) return set;
  const key = keys.config;
  const cidr = await change(ipam, 'draw the range of IPv6 subnets', (reading) => {
    const entry = reading.get(key);
    if (entry !== undefined) return { done: records.config.parse(entry.value).range6 };
    const { first, idBits, idShift, length } = uniqueLocal;
    const id = BigInt(Math.floor(random() * 2 ** idBits));
    const range6 = printPrefix({ family, first: first + (id << idShift), length });
    const value = records.config.render({ v: 1, range6 });
    return {
      transaction: { conditions: [{ key, revision: 0n }], writes: [{ put: key, value }] },
      result: range6,
      proof: { key, holds: (found) => found?.value === value },
    };
  });
  return { range: parsePrefix(cidr), length: families[6].subnetLength };
}
