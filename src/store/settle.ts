/**
 * Carries one change of shared state to a certain end.
 *
 * A transaction whose answer is lost may hold, may not, and may still take effect seconds later (the request
 * waits in the socket of a frozen store). Reading the store cannot exclude that last case, so the very same
 * transaction is sent again instead, until the store answers. That is safe because it excludes itself: its
 * own writes break one of its conditions, so of any number of copies at most one commits, whenever they
 * arrive. A conflict then means either that an earlier copy committed (`proof` tells) or that somebody else
 * changed the state, and in that case no copy can commit any more and a new attempt is free to start. (One
 * exception: a key that has to be absent, was created, and was deleted again by others meanwhile.)
 */
import { WeftError } from '../errors.ts';
import { backOff } from './back-off.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Condition, Entry, Store, Transaction, Write } from './store.ts';

export interface PlannedWrite<T> {
  /** Must exclude itself; for example `key` at the revision read, and a put of that key. */
  readonly transaction: Transaction;
  /** What the operation returns when this transaction is committed. */
  readonly result: T;
  /**
   * Whether an earlier copy of this transaction is what the store holds now. Look for what no other plan
   * can have put there: this operation's id, an address assigned to this endpoint.
   */
  readonly proof: { readonly key: string; readonly holds: (entry: Entry | undefined) => boolean };
}

/** What to write, made from a fresh reading of the store; or the result, when nothing needs to be written. */
export type Plan<T> = PlannedWrite<T> | { readonly done: T };

export interface Operation<T> {
  /** For messages, as the object of a sentence: `claim block 10.77.0.0/26`. */
  readonly subject: string;
  /** Reads what it needs and plans. Called again after each conflict, so it must not act by itself. */
  readonly attempt: () => Promise<Plan<T>>;
  /** How many plans may end in a conflict before giving up. */
  readonly attempts?: number;
  /** No new try is started after this long; the last one may take one store call longer. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * Plans and transacts until the outcome is certain.
 *
 * @throws WeftError `unavailable` when nothing was written: the store is away, or others kept changing the
 *   same keys; `unknown-outcome` when the store did not come back in time to tell; whatever `attempt` throws.
 */
export async function transactUntilSettled<T>(
  store: Pick<Store, 'get' | 'transact'>,
  operation: Operation<T>,
): Promise<T> {
  const { subject, signal, attempts = 20, timeoutMs = 5_000 } = operation;
  const { clock = systemClock, random = Math.random } = operation;
  const endMs = clock.now() + timeoutMs;
  const over = () => signal?.aborted === true || clock.now() >= endMs;

  async function commits(plan: PlannedWrite<T>): Promise<boolean> {
    const pause = backOff(20, 500, random);
    let doubt: Error | undefined;
    for (;;) {
      try {
        const outcome = await store.transact(plan.transaction);
        if (outcome.outcome === 'committed') return true;
        if (outcome.outcome === 'conflict') {
          if (doubt === undefined) return false;
          return plan.proof.holds(await store.get(plan.proof.key));
        }
        doubt = outcome.cause;
      } catch (error) {
        // This copy wrote nothing; without an earlier one in doubt, that settles it.
        if (doubt === undefined) throw error;
      }
      if (over()) {
        throw new WeftError(
          'unknown-outcome',
          `cannot tell whether it was possible to ${subject}, because the store did not answer; try again when it does`,
          { cause: doubt },
        );
      }
      await clock.sleep(pause.next(), signal);
    }
  }

  const pause = backOff(4, 100, random);
  for (let made = 0; made < attempts && !(made > 0 && over()); made += 1) {
    if (made > 0) await clock.sleep(pause.next(), signal);
    const plan = await operation.attempt();
    if ('done' in plan) return plan.done;
    assertSelfExcluding(subject, plan.transaction);
    if (await commits(plan)) return plan.result;
  }
  throw new WeftError(
    'unavailable',
    `cannot ${subject}, because other hosts kept changing the same records of the store; try again`,
  );
}

function assertSelfExcluding(subject: string, { conditions, writes }: Transaction): void {
  if (conditions.some((condition) => writes.some((write) => breaks(write, condition)))) return;
  throw new WeftError('internal', `the transaction to ${subject} does not exclude a second copy of itself`);
}

/** Whether the condition cannot hold any more once the write is done. */
function breaks(write: Write, condition: Condition): boolean {
  if ('put' in write) {
    if ('revision' in condition) return condition.key === write.put;
    if (!('prefix' in condition) || !write.put.startsWith(condition.prefix)) return false;
    return 'unchangedSince' in condition || condition.emptyExcept !== write.put;
  }
  // A deletion is not seen by a condition that had the key absent, or that looks at a prefix.
  if (!('key' in condition) || ('revision' in condition && condition.revision === 0n)) return false;
  return 'delete' in write ? write.delete === condition.key : condition.key.startsWith(write.deletePrefix);
}
