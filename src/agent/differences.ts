/** In words for people, what of the kernel is not as it should be. */
import { describe } from '../kernel/change.ts';
import type { PacketFilter } from '../kernel/kernel.ts';
import { type NftTable, renderNftUpdate } from '../kernel/nft.ts';
import type { Change } from '../kernel/state.ts';

export function inWords(place: string, changes: readonly Change[]): string[] {
  return changes.map((change) =>
    change.do === 'put'
      ? `in the kernel, ${place} lacks ${describe(change)}, or has another in its place`
      : `in the kernel, ${place} has ${describe(change)}, which nothing needs`,
  );
}

export async function differencesOf(
  filter: PacketFilter,
  place: string,
  wanted: () => NftTable,
): Promise<string[]> {
  const installed = await filter.read();
  if (renderNftUpdate(installed, wanted()) === undefined) return [];
  return [`the packet filter of ${place} is not as it should be`];
}
