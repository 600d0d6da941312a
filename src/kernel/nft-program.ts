/** The program `nft`, which lists tables and carries out scripts. */
import type { InstalledNftTable, NftTable } from './nft.ts';
import { parseNftTable } from './nft-listing.ts';
import { run } from './run.ts';

/** Undefined where there is none. @throws WeftError `kernel` */
export async function listNftTable(
  { family, name }: Pick<NftTable, 'family' | 'name'>,
  namespace: string | undefined,
): Promise<InstalledNftTable | undefined> {
  try {
    return parseNftTable(await run(['nft', '-j', 'list', 'table', family, name], { namespace }));
  } catch (error) {
    // To list a table that is not there is a failure like any other: only the list of all tells.
    const all = await run(['nft', '-j', 'list', 'tables', family], { namespace });
    if (parseNftTable(all) === undefined) return undefined;
    throw error;
  }
}

/** All of the script in one transaction. @throws WeftError `kernel` */
export async function runNft(script: string, namespace: string | undefined): Promise<void> {
  await run(['nft', '-f', '-'], { input: script, namespace });
}
