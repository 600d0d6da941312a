/** weft's nftables table in the kernel, through `nft`. */
import {
  type InstalledNftTable,
  type NftTable,
  renderNftRemoval,
  renderNftTable,
  renderNftUpdate,
} from './nft.ts';
import { parseNftTable } from './nft-listing.ts';
import { run } from './run.ts';

const ours = { family: 'inet', name: 'weft' } as const;

/** Undefined where there is none. @throws WeftError `kernel` */
export async function readNftTable(namespace?: string): Promise<InstalledNftTable | undefined> {
  try {
    return parseNftTable(await run(['nft', '-j', 'list', 'table', ours.family, ours.name], { namespace }));
  } catch (error) {
    // To list a table that is not there is a failure like any other: only the list of all tells.
    const all = await run(['nft', '-j', 'list', 'tables', ours.family], { namespace });
    if (parseNftTable(all) === undefined) return undefined;
    throw error;
  }
}

/** Answers whether anything had to be changed. @throws WeftError `kernel` */
export async function writeNftTable(table: NftTable, namespace?: string): Promise<boolean> {
  const update = renderNftUpdate(await readNftTable(namespace), table);
  if (update === undefined) return false;
  try {
    await apply(update, namespace);
  } catch {
    // Its elements may have been changed since they were read. The whole table does not depend on that.
    await apply(renderNftTable(table), namespace);
  }
  return true;
}

/** @throws WeftError `kernel` */
export async function deleteNftTable(namespace?: string): Promise<void> {
  await apply(renderNftRemoval(ours), namespace);
}

async function apply(text: string, namespace: string | undefined): Promise<void> {
  await run(['nft', '-f', '-'], { input: text, namespace });
}
