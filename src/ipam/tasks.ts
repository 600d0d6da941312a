/**
 * Addresses of swarm's tasks. Its manager asks for one before it knows which host the task will run on; that host then
 * asks for the same by name, and each gives it back. So what the manager gets is kept, not assigned.
 *
 * Managers do not hand on to each other what weft has answered them, nor remember it (swarmkit keeps it in memory): one
 * that starts, or takes over, asks anew for the subnets of all networks, and then, by name, for what tasks have.
 */
import { parseAddress, printAddress } from '../model/address.ts';
import { type Block, holderOf } from '../model/block-record.ts';
import type { Plan } from '../store/settle.ts';
import type { Entry } from '../store/store.ts';
import { reservationOf, reserve, unreserve } from './block.ts';
import {
  knownBlock,
  type PoolId,
  parsePoolId,
  poolOf,
  readableBlock,
  referenceOf,
  unknownPool,
  writingOf,
} from './holdings.ts';
import type { Ipam } from './ipam.ts';
import { nextPlace } from './next-place.ts';
import { taskPlace } from './place.ts';
import { type GrantedPool, type PoolRequest, requestPool } from './pools.ts';
import { change, look, type Reading } from './reading.ts';

/** One for all managers, so that any of them can give back what another has asked for. */
const swarmReference = 'swarm';

/**
 * Refers to a pool on behalf of a swarm, and gives up the addresses that are kept in it and no host has: what a manager
 * that is gone has not given back, nobody would. They rest before any container gets them, so there is time to ask again
 * for those of tasks that are about to start.
 * @throws WeftError as `requestPool`
 */
export async function requestPoolForTasks(ipam: Ipam, request: PoolRequest): Promise<GrantedPool> {
  const granted = await requestPool(ipam, request, swarmReference);
  const pool = parsePoolId(granted.poolId);
  if (pool !== undefined) await giveUpReservations(ipam, pool);
  return granted;
}

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
        writes: writingOf(ipam, block, record).writes,
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

async function giveUpReservations(ipam: Ipam, pool: PoolId): Promise<void> {
  const { keys, now, queue } = ipam;
  const idleIn = (entry: Entry | undefined) => idleReservations(entry && knownBlock(keys, entry)?.record);
  const entries = await look(ipam, (reading) => reading.allBlocks(pool.name));
  const blocks = entries.flatMap((entry) => knownBlock(keys, entry)?.record ?? []);
  for (const { cidr } of blocks.filter((block) => idleReservations(block).length > 0)) {
    const plan = (reading: Reading): Plan<void> => {
      const block = readableBlock(reading, pool.name, cidr);
      const idle = idleReservations(block?.record);
      if (block === undefined || idle.length === 0) return { done: undefined };
      const { key, revision } = block;
      const left = idle.reduce((rest, { offset }) => unreserve(rest, offset, now()), block.record);
      const operations = new Set(idle.map(({ operation }) => operation));
      return {
        transaction: {
          conditions: [{ key, revision }],
          writes: writingOf(ipam, block, left).writes,
        },
        result: undefined,
        proof: { key, holds: (found) => !idleIn(found).some(({ operation }) => operations.has(operation)) },
      };
    };
    await queue(pool.name, () => change(ipam, `give up what is kept for tasks in subnet ${pool.cidr}`, plan));
  }
}

/** What is kept in the block, and no host has. */
function idleReservations(block: Block | undefined): { offset: number; operation: string }[] {
  if (block === undefined) return [];
  return Object.entries(block.reserved ?? {})
    .map(([offset, { operation }]) => ({ offset: Number(offset), operation }))
    .filter(({ offset }) => holderOf(block, offset) === undefined);
}
