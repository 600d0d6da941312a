import { WeftError } from '../errors.ts';

/** Lets a call wait, for a bounded time, until this host can serve it; and says why not, if it cannot. */
export class Readiness {
  readonly #isReady: () => boolean;
  readonly #waiting = new Set<() => void>();
  #trouble = 'the store has not answered yet';

  constructor(isReady: () => boolean) {
    this.#isReady = isReady;
  }

  /** Undefined: nothing, this host can serve. */
  get trouble(): string | undefined {
    return this.#isReady() ? undefined : this.#trouble;
  }

  /** What stands in the way now. */
  report(trouble: string): void {
    this.#trouble = trouble;
  }

  /** To be called whenever the host may have become ready. */
  check(): void {
    if (!this.#isReady()) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** @throws WeftError `unavailable` */
  async wait(timeoutMs: number): Promise<void> {
    if (this.#isReady()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    if (this.#isReady()) return;
    throw new WeftError(
      'unavailable',
      `weft cannot do this now, try again later: ${this.#trouble} (containers that run are not affected)`,
    );
  }
}
