/**
 * weft's nftables table of one family in one namespace. `nft` reads and writes it, but not on the path of a
 * container's start: single elements go by netlink, and what is known to be unchanged is not read again.
 *
 * Invariant: elements that are put meanwhile are not lost. Whoever changes them first changes what `write` is
 * told to make of the table, and all writing is done in turn.
 */
import { WeftError } from '../errors.ts';
import { keyedQueue } from '../model/queue.ts';
import { ENOENT } from './errno.ts';
import { explainVerdict } from './netlink/message.ts';
import { changeElements, decodeGeneration, getGeneration } from './netlink/nftables.ts';
import type { SocketPool } from './netlink/socket.ts';
import {
  amend,
  asInstalled,
  type InstalledNftTable,
  type NftElements,
  type NftTable,
  renderNftRemoval,
  renderNftTable,
  renderNftUpdate,
} from './nft.ts';
import { listNftTable, runNft } from './nft-program.ts';

export interface PacketFilter {
  /** Undefined where there is none. @throws WeftError `kernel` */
  read(): Promise<InstalledNftTable | undefined>;
  /**
   * Makes the table the desired one, which is asked for when nothing can come between; answers whether anything
   * had to be changed. @throws WeftError `kernel`
   */
  write(desired: () => NftTable): Promise<boolean>;
  /** All or nothing. Of a map, a key must not lead elsewhere. @throws WeftError `kernel` */
  put(changes: readonly NftElements[]): Promise<void>;
  /** What is not there is no error. @throws WeftError `kernel` */
  delete(changes: readonly NftElements[]): Promise<void>;
  remove(): Promise<void>;
}

export interface FilterSite {
  readonly family: NftTable['family'];
  readonly sockets: SocketPool;
  /** File of the namespace, if not the current one. */
  readonly namespace: string | undefined;
}

export function packetFilter({ family, sockets, namespace }: FilterSite): PacketFilter {
  const table = { family, name: 'weft' } as const;
  const inTurn = keyedQueue();
  let known: { readonly generation: number; readonly installed: InstalledNftTable | undefined } | undefined;

  async function generationNow(): Promise<number> {
    const [answer] = await sockets.ask([getGeneration()]);
    const generation = answer?.content.map(decodeGeneration)[0];
    if (generation !== undefined) return generation;
    throw new WeftError('kernel', 'the kernel has no nftables; weft needs them to filter packets');
  }

  /** Nobody has changed any table since the last look: it still is what it was then. */
  async function look(): Promise<InstalledNftTable | undefined> {
    const generation = await generationNow();
    if (known?.generation === generation) return known.installed;
    const installed = await listNftTable(table, namespace);
    known = { generation, installed };
    return installed;
  }

  /** Remembers what the table is after a change that is one more generation; if it is more, others were at it. */
  async function remember(
    installed: InstalledNftTable | undefined,
    before: number | undefined,
  ): Promise<void> {
    const generation = await generationNow();
    known = generation - 1 === before ? { generation, installed } : undefined;
  }

  /** What is known follows, at the cost of the change and not of all there is. */
  async function note(verb: 'add' | 'delete', changes: readonly NftElements[]): Promise<void> {
    if (known?.installed === undefined) return;
    const { generation, installed } = known;
    for (const change of changes) amend(installed, verb, change);
    await remember(installed, generation);
  }

  async function change(verb: 'add' | 'delete', changes: readonly NftElements[]): Promise<void> {
    const answers = await sockets.ask(changeElements(verb, table, changes));
    const failure = answers.find(({ errno }) => errno !== 0);
    if (failure === undefined) return note(verb, changes);
    if (verb === 'delete' && failure.errno === ENOENT) return;
    const sets = changes.map(({ set }) => set.name).join(', ');
    throw new WeftError(
      'kernel',
      `could not ${verb} elements of ${sets} in table ${family} weft: ${explainVerdict(failure)}`,
    );
  }

  return {
    read: look,

    async write(desired) {
      const installed = await look();
      return inTurn('', async () => {
        const wanted = desired();
        const update = renderNftUpdate(known?.installed ?? installed, wanted);
        if (update === undefined) return false;
        const before = known?.generation;
        try {
          await runNft(update, namespace);
        } catch {
          // Its elements may have been changed since they were read. The whole table does not depend on that.
          await runNft(renderNftTable(wanted), namespace);
        }
        await remember(asInstalled(wanted), before);
        return true;
      });
    },

    put: (changes) =>
      inTurn('', async () => {
        if (changes.length > 0) await change('add', changes);
      }),

    /** One by one: of a transaction, nothing is done if one is not there. */
    delete: (changes) =>
      inTurn('', async () => {
        for (const { set, elements } of changes) {
          for (const element of elements) await change('delete', [{ set, elements: [element] }]);
        }
      }),

    remove: () =>
      inTurn('', async () => {
        if ((await look()) !== undefined) await runNft(renderNftRemoval(table), namespace);
      }),
  };
}
