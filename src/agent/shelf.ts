/**
 * Where the ledger keeps objects of one kind: one small JSON file an object, replaced by rename. Only what must outlive
 * a power cut is synced.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { explain, WeftError } from '../errors.ts';
import { keyedQueue } from '../model/queue.ts';
import { keepFile, readKept, syncFolder } from './kept-file.ts';

/** Objects of one kind, in memory and below one folder. */
export class Shelf<T extends { readonly id: string }> {
  readonly #folder: string;
  readonly #durable: boolean;
  readonly #items = new Map<string, T>();
  readonly #damaged: { readonly id: string; readonly file: string }[] = [];
  readonly #inTurn = keyedQueue();

  /** `damaged` is told of every file that cannot be used; it is left where it is. */
  constructor(
    folder: string,
    options: {
      readonly isItem: (value: unknown) => value is T;
      readonly durable: boolean;
      readonly damaged: (file: string) => void;
    },
  ) {
    this.#folder = folder;
    this.#durable = options.durable;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!name.endsWith('.json')) {
        rmSync(path);
        continue;
      }
      const item = readKept(path);
      if (options.isItem(item)) {
        this.#items.set(item.id, item);
        continue;
      }
      this.#damaged.push({ id: idIn(name), file: path });
      options.damaged(path);
    }
  }

  get(id: string): T | undefined {
    return this.#items.get(id);
  }

  all(): T[] {
    return [...this.#items.values()];
  }

  /** Of whom there was a file that cannot be used, and has been neither written anew nor taken away since. */
  damaged(): { readonly id: string; readonly file: string }[] {
    return this.#damaged.filter(({ id, file }) => !this.#items.has(id) && existsSync(file));
  }

  /**
   * Resolves when the object is on disk; it is visible at once, and stays so.
   * @throws WeftError `internal` when the disk does not take it
   */
  async put(item: T): Promise<void> {
    this.#items.set(item.id, item);
    const { id } = item;
    await this.#onDisk(id, () => keepFile(this.#path(id), JSON.stringify(item), { durable: this.#durable }));
  }

  /** @throws WeftError `internal` when the disk does not let go of it */
  async delete(id: string): Promise<void> {
    this.#items.delete(id);
    await this.#onDisk(id, () => rm(this.#path(id), { force: true }));
  }

  /** What is asked for last is what is there in the end. */
  async #onDisk(id: string, change: () => Promise<void>): Promise<void> {
    try {
      await this.#inTurn(id, async () => {
        await change();
        if (this.#durable) await syncFolder(this.#folder);
      });
    } catch (cause) {
      throw new WeftError(
        'internal',
        `weft cannot keep its records in ${this.#folder} (${explain(cause)}); make sure that its disk has room and may be written to`,
        { cause },
      );
    }
  }

  #path(id: string): string {
    return join(this.#folder, `${encodeURIComponent(id)}.json`);
  }
}

/** What can be done with objects of one kind, wherever they are kept. */
export type Items<T extends { readonly id: string }> = Pick<
  Shelf<T>,
  'get' | 'all' | 'put' | 'delete' | 'damaged'
>;

function idIn(fileName: string): string {
  const name = fileName.replace(/\.json$/, '');
  try {
    return decodeURIComponent(name);
  } catch {
    // Not a name that weft gave.
    return name;
  }
}
