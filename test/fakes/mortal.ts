/**
 * A process that is killed at a chosen step. What it does to its store and its kernel goes through here and is
 * counted; once it is dead, nothing that it still does takes effect, and nothing answers it.
 */
import type { Kernel, Namespace, PacketFilter } from '../../src/kernel/kernel.ts';
import type { Store } from '../../src/store/store.ts';
import type { FakeKernel } from './kernel.ts';

export class Life {
  readonly ended: Promise<'killed'>;
  #end: () => void = () => {};
  #dead = false;
  #stepsLeft = Number.POSITIVE_INFINITY;
  #after = false;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve('killed');
    });
  }

  /** It dies at the n-th step from now: before that takes effect, or after it and before its answer. */
  endAt(step: number, when: 'before' | 'after'): void {
    this.#stepsLeft = step;
    this.#after = when === 'after';
  }

  get isOver(): boolean {
    return this.#dead;
  }

  /** Called at once when it dies. */
  onEnd: () => void = () => {};

  end(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.onEnd();
    this.#end();
  }

  async step<T>(act: () => Promise<T>): Promise<T> {
    if (this.#dead) return await never();
    this.#stepsLeft -= 1;
    const isLast = this.#stepsLeft === 0;
    if (isLast && !this.#after) {
      this.end();
      return await never();
    }
    const answer = await act();
    if (isLast) this.end();
    return this.#dead ? await never() : answer;
  }

  /** Something that changes nothing. */
  async look<T>(act: () => Promise<T>): Promise<T> {
    const answer = this.#dead ? await never() : await act();
    return this.#dead ? await never() : answer;
  }
}

/** A fresh one each time: who waits for it is forgotten with it. */
const never = () => new Promise<never>(() => {});

export function mortalStore(store: Store, life: Life): Store {
  return {
    get: (key) => life.look(() => store.get(key)),
    list: (prefix) => life.look(() => store.list(prefix)),
    transact: (transaction) => life.step(() => store.transact(transaction)),
    async *watch(prefix, signal, before) {
      for await (const notice of store.watch(prefix, signal, before))
        yield await life.look(async () => notice);
    },
    // Of its lease nothing is seen here.
    grantLease: (ttlSeconds) => life.look(() => store.grantLease(ttlSeconds)),
    renewLease: (lease) => life.look(() => store.renewLease(lease)),
    close: async () => {},
  };
}

/** With its process, a kernel's sockets go: ports that were held, and those that probes come to. */
export function mortalKernel(kernel: FakeKernel, life: Life): Kernel {
  const ends: (() => void)[] = [];
  life.onEnd = () => {
    for (const end of ends) end();
  };
  return {
    host: mortalNamespace(kernel.host, life),
    namespace: async (name) => mortalNamespace(await life.step(() => kernel.namespace(name)), life),
    namespaces: () => life.look(() => kernel.namespaces()),
    removeNamespace: (name) => life.step(() => kernel.removeNamespace(name)),
    keepsSandbox: (sandbox) => kernel.keepsSandbox(sandbox),
    containerEnds: () => life.look(() => kernel.containerEnds()),
    route: (destinations) => life.look(() => kernel.route(destinations)),
    mainRoutes: () => life.look(() => kernel.mainRoutes()),
    addresses: () => life.look(() => kernel.addresses()),
    linkLocal: (link) => life.look(() => kernel.linkLocal(link)),
    watch: () => () => {},
    openUdp: (at, receive) => {
      if (life.isOver) return { send: () => {}, close: () => {} };
      const socket = kernel.openUdp(at, receive);
      ends.push(() => socket.close());
      return socket;
    },
    ensureForwardAccept: () => life.step(() => kernel.ensureForwardAccept()),
    removeForwardAccept: () => life.step(() => kernel.removeForwardAccept()),
    hasForwardAccept: () => life.look(() => kernel.hasForwardAccept()),
    shortcutObstacle: () => kernel.shortcutObstacle(),
    holdPort: (wish) => {
      if (life.isOver) return { port: wish.port, release: () => {} };
      const held = kernel.holdPort(wish);
      ends.push(() => held.release());
      return held;
    },
    makeSysctlsWritable: () => {},
    hasIpv6: () => kernel.hasIpv6(),
    enableForwarding: (...place) => (life.isOver ? { changed: false } : kernel.enableForwarding(...place)),
    forwards: (...place) => kernel.forwards(...place),
    close: () => {},
  };
}

function mortalNamespace(namespace: Namespace, life: Life): Namespace {
  const { name, filters } = namespace;
  return {
    name,
    read: () => life.look(() => namespace.read()),
    hasLink: (link) => life.look(() => namespace.hasLink(link)),
    apply: async (changes) => {
      for (const change of changes) await life.step(() => namespace.apply([change]));
    },
    forget: (addresses) => life.step(() => namespace.forget(addresses)),
    filters: { inet: mortalFilter(filters.inet, life), bridge: mortalFilter(filters.bridge, life) },
  };
}

function mortalFilter(table: PacketFilter, life: Life): PacketFilter {
  return {
    read: () => life.look(() => table.read()),
    write: (desired) => life.step(() => table.write(desired)),
    put: (changes) => life.step(() => table.put(changes)),
    delete: (changes) => life.step(() => table.delete(changes)),
    remove: () => life.step(() => table.remove()),
  };
}
