/**
 * Makes the kernel what it should be, level by level rather than event by event: whatever happens only marks
 * a scope; a pass reads the scope's namespace, takes the difference to what the fabrics desire, and applies
 * it. Starting up, hearing of a remote container, and repairing what others broke are one path.
 *
 * Invariant: no pass before the first complete snapshot of the store; until then the kernel is right as it is.
 */
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import { coalesce } from './coalesce.ts';

/** What to bring in line: the namespace of this name (`host`, or a network's own), or the packet filter. */
export type Scope = string;

/** The host's packet filter: a scope of its own, because looking at it costs processes. */
export const filterScope: Scope = 'filter';

export interface Reconciliation {
  /** Brings one scope in line, or takes it away when nothing wants it; answers how many changes that took. */
  readonly pass: (scope: Scope) => Promise<number>;
  /** All scopes that there are or should be. */
  readonly scopes: () => Promise<readonly Scope[]>;
  readonly fullPassMs: number;
  readonly log: Log;
}

/** A failed pass is repeated after this long, and before that by anything that marks its scope. */
const retryMs = 1_000;

export class Reconciler {
  readonly #work: Reconciliation;
  readonly #passes = new Map<Scope, () => Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Scopes with a reason to change; what a pass changes in any other was drift. */
  readonly #marked = new Set<Scope>();
  readonly #wereInLine = new Set<Scope>();
  #open = false;
  /** Changes that nobody had announced: what others broke and weft put right. */
  driftRepaired = 0;

  constructor(work: Reconciliation) {
    this.#work = work;
  }

  /** The first complete snapshot is there. Opening twice is harmless. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    this.#timers.add(
      setInterval(() => void this.#fullPass((scope) => this.#run(scope)), this.#work.fullPassMs),
    );
    this.markAll();
  }

  close(): void {
    this.#open = false;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Something that bears on the scope has changed; returns at once. */
  mark(scope: Scope): void {
    if (!this.#open) return;
    this.#marked.add(scope);
    this.#run(scope);
  }

  /** Others may have been at the scope: what a pass now has to change was drift. Returns at once. */
  suspect(scope: Scope): void {
    if (this.#open) this.#run(scope);
  }

  markAll(): void {
    if (this.#open) void this.#fullPass((scope) => this.mark(scope));
  }

  /** As `mark`; resolves when a pass that began after this call has ended. @throws what the pass throws */
  async settle(scope: Scope): Promise<void> {
    if (!this.#open) return;
    this.#marked.add(scope);
    await this.#pass(scope);
  }

  /** Whether a pass over the scope has succeeded since weft started. */
  wasInLine(scope: Scope): boolean {
    return this.#wereInLine.has(scope);
  }

  #run(scope: Scope): void {
    this.#pass(scope).catch((error: unknown) => {
      this.#work.log.warn({ scope, reason: explain(error) }, 'a pass failed and will be repeated');
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.mark(scope);
      }, retryMs);
      this.#timers.add(timer);
    });
  }

  #pass(scope: Scope): Promise<void> {
    let pass = this.#passes.get(scope);
    if (pass === undefined) {
      pass = coalesce(() => this.#bringInLine(scope));
      this.#passes.set(scope, pass);
    }
    return pass();
  }

  async #bringInLine(scope: Scope): Promise<void> {
    if (!this.#open) return;
    const announced = this.#marked.delete(scope);
    const changes = await this.#work.pass(scope);
    this.#wereInLine.add(scope);
    if (changes === 0) return;
    if (!announced) this.driftRepaired += changes;
    this.#work.log.info({ scope, changes, drift: !announced }, 'brought the kernel in line');
  }

  async #fullPass(start: (scope: Scope) => void): Promise<void> {
    try {
      for (const scope of await this.#work.scopes()) start(scope);
    } catch (error) {
      this.#work.log.warn(
        { reason: explain(error) },
        'cannot list the namespaces; the next full pass tries again',
      );
    }
  }
}
