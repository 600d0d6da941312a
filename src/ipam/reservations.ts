/**
 * Addresses that no container gets unless they are given up with the pool: its gateway, and those that the
 * user sets aside (`--aux-address`). They are in the pool's record, so that all hosts agree on them.
 *
 * The transaction holds only while the pool and the address's block are as they were read; an assignment
 * does the same the other way round (`addresses.ts`), so no address is ever both.
 */
import { WeftError } from '../errors.ts';
import { type Address, parseAddress, printAddress, printPrefix } from '../model/address.ts';
import { holderOf } from '../model/block-record.ts';
import { type Pool, records } from '../model/records.ts';
import type { Plan } from '../store/settle.ts';
import { nextFree, reservationOf } from './block.ts';
import { type HeldPool, parsePoolId, poolOf, unknownPool } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { addressInUse, blockAt, placeOf, refuseSpare, unclaimed } from './place.ts';
import { blockOf, usable, windowOf } from './pool.ts';
import { change, type Reading } from './reading.ts';

/**
 * The gateway of the pool, the same on all hosts: the one it has; else the wanted one, or the first usable
 * address.
 * @returns canonical text, without prefix length
 * @throws WeftError `conflict` when it has another gateway than the wanted one, or a container has it;
 *   `invalid` | `not-found` | `exhausted`, and as `change`
 */
export async function reserveGateway(ipam: Ipam, poolId: string, wanted?: string): Promise<string> {
  const address = wanted === undefined ? undefined : parseAddress(wanted);
  return changePool(ipam, poolId, (reading, pool) => {
    const { gateway, reserved } = pool.record;
    if (gateway !== undefined) {
      if (address === undefined || printAddress(address) === gateway) return { done: gateway };
      throw new WeftError(
        'conflict',
        `subnet ${pool.cidr} has gateway ${gateway} already, so it cannot be ${wanted}: use --gateway ${gateway}, or leave --gateway out`,
      );
    }
    const chosen = address ?? firstFree(ipam, reading, pool);
    const text = printAddress(chosen);
    if (reserved.includes(text)) {
      throw new WeftError(
        'conflict',
        `address ${text} is set aside in subnet ${pool.cidr} (--aux-address), so it cannot be the gateway: choose another`,
      );
    }
    refuseReserved(pool, text);
    return planKeeping(ipam, reading, pool, {
      address: chosen,
      record: { ...pool.record, gateway: text },
      isIn: (record) => record.gateway === text,
    });
  });
}

/**
 * Sets an address aside; again, when it is already.
 * @returns canonical text, without prefix length
 * @throws WeftError `conflict` when it is the gateway, or a container has it; `invalid` | `not-found`, and as
 *   `change`
 */
export async function reserveAddress(ipam: Ipam, poolId: string, wanted: string): Promise<string> {
  const address = parseAddress(wanted);
  const text = printAddress(address);
  return changePool(ipam, poolId, (reading, pool) => {
    const { gateway, reserved } = pool.record;
    if (reserved.includes(text)) return { done: text };
    if (gateway === text) {
      throw new WeftError(
        'conflict',
        `address ${text} is the gateway of subnet ${pool.cidr}, so it cannot be an --aux-address: choose another`,
      );
    }
    refuseReserved(pool, text);
    return planKeeping(ipam, reading, pool, {
      address,
      record: { ...pool.record, reserved: [...reserved, text] },
      isIn: (record) => record.reserved.includes(text),
    });
  });
}

/** @throws WeftError `conflict` when a container is to have it */
function refuseReserved({ cidr, record }: HeldPool, text: string): void {
  const name = record.reservedFor?.[text];
  if (name === undefined) return;
  throw new WeftError(
    'conflict',
    `address ${text} of subnet ${cidr} is reserved for ${name} (weft.reserve), so it cannot be the gateway or an --aux-address: choose another`,
  );
}

async function changePool(
  ipam: Ipam,
  poolId: string,
  plan: (reading: Reading, pool: HeldPool) => Plan<string>,
): Promise<string> {
  const id = parsePoolId(poolId);
  if (id === undefined) throw unknownPool(poolId);
  return ipam.queue(id.name, () =>
    change(ipam, `set aside an address of subnet ${id.cidr}`, (reading) =>
      plan(reading, poolOf(reading, ipam.keys, id)),
    ),
  );
}

function firstFree(ipam: Ipam, reading: Reading, pool: HeldPool): Address {
  const { family } = pool.prefix;
  const span = usable(pool.prefix);
  const block =
    blockAt(ipam, reading, pool, span.first) ?? unclaimed(ipam, pool, blockOf(pool.prefix, span.first));
  const offset = block.record && nextFree(block.record, windowOf(block.prefix, span, pool.keptBack));
  if (offset !== undefined) return { family, value: block.prefix.first + BigInt(offset) };
  throw new WeftError(
    'exhausted',
    `subnet ${pool.cidr} has no gateway, and no address is free for it in its first block ${printPrefix(block.prefix)}: choose one by --gateway`,
  );
}

function planKeeping(
  ipam: Ipam,
  reading: Reading,
  pool: HeldPool,
  keep: { readonly address: Address; readonly record: Pool; readonly isIn: (record: Pool) => boolean },
): Plan<string> {
  const place = placeOf(ipam, reading, pool, keep.address);
  refuseSpare(ipam, place, printAddress(keep.address));
  const { block, offset } = place;
  const holder = holderOf(block.record, offset);
  if (holder !== undefined) throw addressInUse(ipam, printAddress(keep.address), holder);
  if (reservationOf(block.record, offset) !== undefined) {
    throw new WeftError(
      'conflict',
      `address ${printAddress(keep.address)} is kept for a task of swarm's: choose another`,
    );
  }
  return {
    transaction: {
      conditions: [
        { key: pool.key, revision: pool.revision },
        { key: block.key, revision: block.revision },
      ],
      writes: [{ put: pool.key, value: records.pool.render(keep.record) }],
    },
    result: printAddress(keep.address),
    proof: {
      key: pool.key,
      holds: (found) => found !== undefined && keep.isIn(records.pool.parse(found.value)),
    },
  };
}
