/**
 * Addresses of swarm's tasks. Its manager asks for one before it knows which host the task will run on; that host then
 * asks for the same by name, and each gives it back. So what the manager gets is kept, not assigned, and known by the
 * pool id through which it was asked for, which managers hand on to each other.
 */
import { parseAddress, printAddress } from '../model/address.ts';
import { records } from '../model/records.ts';
import type { Plan } from '../store/settle.ts';
import { reservationOf, reserve } from './block.ts';
import { knownBlock, parsePoolId, poolOf, referenceOf, unknownPool } from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { nextPlace, taskPlace } from './place.ts';
import { change, type Reading } from './reading.ts';

/**
 * Keeps an address until it is released through the same pool id: only who asks for it by name gets it.
 * @param wanted what was chosen before, perhaps by another manager; absent: the next free one
 * @returns canonical text, without prefix length
 * @throws WeftError as `assignAddress`
 */
export async function reserveForTask(ipam: Ipam, poolId: string, wanted?: string): Promise<string> {
  const { keys, queue } = ipam;
  const id = parsePoolId(poolId);
  if (id === undefined) throw unknownPool(poolId);
  const address = wanted === undefined ? undefined : parseAddress(wanted);
  const operation = ipam.randomId();
  const plan = (reading: Reading, conflicts: number): Plan<string> => {
    const pool = poolOf(reading, keys, id);
    const { range } = referenceOf(reading, keys, id);
    const { block, offset } =
      address === undefined
        ? nextPlace(ipam, reading, { pool, range }, conflicts)
        : taskPlace(ipam, reading, pool, address);
    const record = reserve(block.record, offset, { reference: id.reference, operation });
    const { family, first } = block.prefix;
    return {
      transaction: {
        conditions: [
          { key: pool.key, revision: pool.revision },
          { key: block.key, revision: block.revision },
        ],
        writes: [{ put: block.key, value: records.block.render(record) }],
      },
      result: printAddress({ family, value: first + BigInt(offset) }),
      proof: {
        key: block.key,
        holds: (found) => {
          const now = found && knownBlock(keys, found)?.record;
          return now !== undefined && reservationOf(now, offset)?.operation === operation;
        },
      },
    };
  };
  return queue(id.name, () => change(ipam, `keep an address of subnet ${id.cidr} for a task`, plan));
}
