/** One nftables table in memory. */
import { WeftError } from '../../src/errors.ts';
import type { PacketFilter } from '../../src/kernel/kernel.ts';
import {
  amend,
  asInstalled,
  type InstalledNftTable,
  type NftElements,
  type NftTable,
  renderNftUpdate,
} from '../../src/kernel/nft.ts';

export class FakePacketFilter implements PacketFilter {
  readonly #family: NftTable['family'];
  readonly #attempt: () => void;
  #installed: InstalledNftTable | undefined;

  /** `attempt` throws when the next thing shall fail. */
  constructor(family: NftTable['family'], attempt: () => void) {
    this.#family = family;
    this.#attempt = attempt;
  }

  async read(): Promise<InstalledNftTable | undefined> {
    this.#attempt();
    return this.#installed;
  }

  async write(desired: () => NftTable): Promise<boolean> {
    this.#attempt();
    const wanted = desired();
    if (wanted.family !== this.#family) throw new WeftError('internal', `a ${wanted.family} table came here`);
    if (renderNftUpdate(this.#installed, wanted) === undefined) return false;
    this.#installed = asInstalled(wanted);
    return true;
  }

  async put(changes: readonly NftElements[]): Promise<void> {
    if (changes.length > 0) this.#change('add', changes);
  }

  async delete(changes: readonly NftElements[]): Promise<void> {
    if (changes.length > 0) this.#change('delete', changes);
  }

  async remove(): Promise<void> {
    this.#attempt();
    this.#installed = undefined;
  }

  #change(verb: 'add' | 'delete', changes: readonly NftElements[]): void {
    this.#attempt();
    for (const { set } of changes) {
      if (this.#installed?.sets.some(({ name }) => name === set.name)) continue;
      if (verb === 'delete') return;
      throw new WeftError('kernel', `could not add elements of ${set.name}: it is not there`);
    }
    for (const change of changes) if (this.#installed !== undefined) amend(this.#installed, verb, change);
  }
}
