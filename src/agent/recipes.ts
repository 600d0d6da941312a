/**
 * What the hosts tell each other about networks as Docker knows them: under which name, and what they were made
 * with. The first host to publish a name has it; from then on the name means that network on every host.
 */
import { type Recipe, records } from '../model/records.ts';
import type { Keys } from '../store/keys.ts';
import { type Plan, transactUntilSettled } from '../store/settle.ts';
import type { Entry, Store, Transaction } from '../store/store.ts';
import type { Cluster } from './cluster.ts';
import type { Epoch } from './epoch.ts';

export interface Recipes {
  /**
   * With the epoch of the store that they are of. Undefined while the store is away, or has none: what it holds by then
   * is not known.
   */
  all(): { readonly epoch: string; readonly recipes: readonly Recipe[] } | undefined;
  /** Calls back whenever the answer of `all` may be another. */
  onChange(listener: () => void): void;
  /**
   * Puts it there if its network exists, was not removed, and the name is not taken.
   * @throws WeftError when the store is away
   */
  publish(recipe: Recipe): Promise<void>;
  /**
   * This host's user removed the network. Takes the recipe away, and with it the network from all hosts, if no
   * container is on it; else only this host is left without. @throws as `publish`
   */
  renounce(recipe: Recipe): Promise<void>;
  /** This host has it again. @throws as `publish` */
  resume(recipe: Recipe): Promise<void>;
  /** Whether the network of this recipe was removed, on record because a host may still have it from an earlier epoch. */
  wasRemoved(id: string): boolean;
  /** Whether the store has a recipe of this name, be it one that cannot be read and that `all` leaves out. */
  isTaken(name: string): boolean;
  /** Whether the store has the weft network of this key, be its record one that cannot be read. */
  hasNetwork(key: string): boolean;
  /** Whether the store has it that this host takes part in that network by this one of Docker's. */
  takesPart(key: string, dockerNetwork: string): boolean;
  /** Takes away the recipe of a network that the store does not have. @throws as `publish` */
  discard(recipe: Recipe): Promise<void>;
}

export interface RecipeParts {
  readonly store: Store;
  readonly keys: Keys;
  readonly cluster: Cluster;
  readonly hostId: string;
  readonly epoch: Pick<Epoch, 'current'>;
  /** The store's state is here. */
  readonly connected: () => boolean;
}

export function recipesOf({ store, keys, cluster, hostId, epoch, connected }: RecipeParts): Recipes & {
  /** Takes the keys that changed; none: the store has come or gone. */
  hear(changed: readonly string[]): void;
} {
  const listeners = new Set<() => void>();

  /** Changes the recipe as long as it is this one, and not a later one of the same name. */
  function change(
    verb: string,
    recipe: Recipe,
    plan: (now: Recipe, entry: Entry) => Promise<Plan<void>>,
  ): Promise<void> {
    return transactUntilSettled(store, {
      subject: `${verb} network ${recipe.name}`,
      attempt: async () => {
        const entry = await store.get(keys.recipe(recipe.name));
        const now = entry && records.recipe.parse(entry.value);
        return entry === undefined || now?.id !== recipe.id ? { done: undefined } : plan(now, entry);
      },
    });
  }

  /**
   * Of a recipe from an earlier epoch it leaves a record: to a host that has noted it then, and has not looked since, it
   * would say nothing that it is missing.
   */
  async function removal(
    { id, name, epoch: born }: Recipe,
    { key, revision }: Entry,
    condition: Transaction['conditions'][number],
  ): Promise<Plan<void>> {
    // What is known of it here may be behind.
    const now = await store.get(keys.epoch);
    const record = { put: keys.removal(id), value: name };
    return {
      result: undefined,
      proof: { key, holds: (found) => found === undefined },
      transaction: {
        conditions: [{ key, revision }, { key: keys.epoch, revision: now?.revision ?? 0n }, condition],
        writes: [{ delete: key }, ...(born === now?.value ? [] : [record])],
      },
    };
  }

  function replacement({ key, revision }: Entry, recipe: Recipe): Plan<void> {
    const value = records.recipe.render(recipe);
    return {
      result: undefined,
      proof: { key, holds: (found) => found?.value === value },
      transaction: { conditions: [{ key, revision }], writes: [{ put: key, value }] },
    };
  }

  return {
    all() {
      const now = epoch.current();
      return connected() && now !== undefined ? { epoch: now, recipes: cluster.recipes() } : undefined;
    },

    onChange: (listener) => listeners.add(listener),

    hear(changed) {
      const bears = (key: string) =>
        key === keys.epoch || key.startsWith(keys.recipes) || key.startsWith(keys.removals);
      if (changed.length > 0 && !changed.some(bears)) return;
      for (const listener of listeners) listener();
    },

    publish(recipe) {
      const key = keys.recipe(recipe.name);
      const network = keys.network(recipe.network);
      const record = keys.removal(recipe.id);
      return transactUntilSettled<void>(store, {
        subject: `publish network ${recipe.name}`,
        attempt: async () => {
          const [taken, exists, removed] = await Promise.all(
            [key, network, record].map((wanted) => store.get(wanted)),
          );
          if (taken !== undefined || exists === undefined || removed !== undefined)
            return { done: undefined };
          const value = records.recipe.render(recipe);
          return {
            result: undefined,
            proof: { key, holds: (found) => found?.value === value },
            transaction: {
              conditions: [
                { key, revision: 0n },
                { key: network, exists: true },
                { key: record, revision: 0n },
              ],
              writes: [{ put: key, value }],
            },
          };
        },
      });
    },

    renounce: (recipe) =>
      change('remove', recipe, async (now, entry) => {
        const prefix = keys.endpoints(now.network);
        const { entries } = await store.list(prefix);
        if (entries.length === 0) return removal(now, entry, { prefix });
        if (now.without.includes(hostId)) return { done: undefined };
        const { host, ...rest } = now;
        const others = host === undefined || host === hostId ? rest : now;
        return replacement(entry, { ...others, without: [...now.without, hostId] });
      }),

    resume: (recipe) =>
      change('take back', recipe, async (now, entry) => {
        if (!now.without.includes(hostId)) return { done: undefined };
        return replacement(entry, { ...now, without: now.without.filter((host) => host !== hostId) });
      }),

    wasRemoved: (id) => cluster.hasRemoval(id),

    isTaken: (name) => cluster.hasRecipe(name),

    hasNetwork: (key) => cluster.hasNetwork(key),

    takesPart: (key, dockerNetwork) =>
      cluster.participant(key, hostId)?.dockerNetworks.includes(dockerNetwork) === true,

    discard: (recipe) =>
      change('discard', recipe, async (now, entry) =>
        removal(now, entry, { key: keys.network(now.network), revision: 0n }),
      ),
  };
}
