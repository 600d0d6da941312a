/**
 * Knows which containers run, and follows the store past all lines to it: that no address is had twice is seen as it
 * happens, and at rest whatever is held for nobody.
 */
import assert from 'node:assert/strict';
import { explain } from '../../../src/errors.ts';
import { isSpare } from '../../../src/ipam/block.ts';
import { type HeldBlock, knownBlock } from '../../../src/ipam/holdings.ts';
import { blockOf } from '../../../src/ipam/pool.ts';
import { parseAddress, parsePrefix, printPrefix } from '../../../src/model/address.ts';
import { claimOf, hostOf, offsetsIn } from '../../../src/model/block-record.ts';
import { records } from '../../../src/model/records.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import type { Entry, Notice, Store } from '../../../src/store/store.ts';

interface Running {
  readonly host: string;
  readonly endpoint: string;
  /** Key of the block that its address lies in, and the place in it. */
  readonly block: string;
  readonly offset: number;
}

export class Witness {
  readonly #store: Store;
  readonly #keys;
  readonly #pool;
  /** By address. */
  readonly #running = new Map<string, Running>();
  /** As the store's watch told them last, by key. */
  readonly #blocks = new Map<string, HeldBlock>();
  readonly #ending = new AbortController();
  readonly #following: Promise<void>;
  #broken: string | undefined;

  constructor(store: Store, root: string, cidr: string) {
    this.#store = store;
    this.#keys = keysBelow(root);
    this.#pool = { cidr, prefix: parsePrefix(cidr) };
    this.#following = this.#follow();
  }

  /** A container runs with the address from now on. @throws AssertionError when another does */
  starts(address: string, host: string, endpoint: string): void {
    const other = this.#running.get(address);
    assert.ok(other === undefined, `${address} is had by containers of ${host} and of ${other?.host}`);
    const parsed = parseAddress(address);
    const prefix = blockOf(this.#pool.prefix, parsed.value);
    const block = this.#keys.block(this.#pool.cidr, printPrefix(prefix));
    this.#running.set(address, { host, endpoint, block, offset: Number(parsed.value - prefix.first) });
  }

  ends(address: string): void {
    this.#running.delete(address);
  }

  /** @throws AssertionError when the store does not hold for a host what its containers use, or a promise was broken */
  async check(): Promise<void> {
    const { entries } = await this.#store.list(this.#keys.root);
    const below = (prefix: string) => entries.filter(({ key }) => key.startsWith(prefix));
    const blocks = new Map(
      below(this.#keys.allBlocks).map((entry) => [entry.key, this.#readable(entry)] as const),
    );
    assert.deepEqual(
      below(this.#keys.allClaims).map(({ value }) => records.claim.parse(value)),
      Array.from(blocks.values(), ({ record }) => claimOf(record)),
      'the hosts are told otherwise than the blocks are',
    );
    for (const [address, { host, block, offset }] of this.#running) {
      const record = blocks.get(block)?.record;
      // One that was given while the store was away is its host's, and not assigned yet.
      const spareOf = record !== undefined && isSpare(record, offset) ? record.owner : undefined;
      assert.equal(
        (record && hostOf(record, offset)) ?? spareOf,
        host,
        `${address} is used on ${host}, and the store has it otherwise`,
      );
    }
    assert.equal(this.#broken, undefined);
  }

  /** Once everything that was begun has ended. @throws AssertionError also when something is held for nobody */
  async checkAtRest(): Promise<void> {
    await this.check();
    const { entries } = await this.#store.list(this.#keys.allBlocks);
    const used = new Set(Array.from(this.#running.values(), ({ block, offset }) => `${block} ${offset}`));
    const leaked = entries.flatMap((entry) => {
      const { record } = this.#readable(entry);
      return offsetsIn(record)
        .filter((offset) => !used.has(`${entry.key} ${offset}`))
        .map((offset) => `${entry.key} + ${offset} for ${hostOf(record, offset)}`);
    });
    assert.deepEqual(leaked, [], 'addresses are held for nobody');
    const announced = (await this.#store.list(this.#keys.allEndpoints)).entries;
    assert.deepEqual(
      announced.map(({ value }) => records.endpoint.parse(value).id).sort(),
      Array.from(this.#running.values(), ({ endpoint }) => endpoint).sort(),
      'endpoints in the store are not those that run',
    );
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#following;
  }

  async #follow(): Promise<void> {
    try {
      for await (const notice of this.#store.watch(this.#keys.allBlocks, this.#ending.signal)) {
        this.#hear(notice);
      }
    } catch (error) {
      this.#broken = explain(error);
    }
  }

  #hear(notice: Notice): void {
    if (notice.type === 'lost') return;
    if (notice.type === 'snapshot') {
      this.#blocks.clear();
      for (const entry of notice.entries) this.#blocks.set(entry.key, this.#readable(entry));
      return;
    }
    for (const event of notice.events) {
      if (event.type === 'delete') this.#blocks.delete(event.key);
      else this.#replace(event.entry);
    }
  }

  /** A block, and an address in it, gets another owner only after it was nobody's. */
  #replace(entry: Entry): void {
    const [before, now] = [this.#blocks.get(entry.key)?.record, this.#readable(entry).record];
    if (before !== undefined) {
      assert.equal(now.owner, before.owner, `${entry.key} was ${before.owner}'s and is ${now.owner}'s`);
      for (const offset of offsetsIn(now)) {
        const host = hostOf(now, offset);
        const spareOf: string | undefined = isSpare(before, offset) ? before.owner : undefined;
        const was: string | undefined = hostOf(before, offset) ?? spareOf ?? host;
        assert.equal(host, was, `${entry.key} + ${offset} was ${was}'s and is ${host}'s`);
      }
    }
    this.#blocks.set(entry.key, this.#readable(entry));
  }

  #readable(entry: Entry): HeldBlock {
    const block = knownBlock(this.#keys, entry);
    assert.ok(block?.record !== undefined, `${entry.key} is no block: ${entry.value}`);
    assert.equal(this.#keys.block(block.record.pool, block.record.cidr), entry.key);
    return block;
  }
}
