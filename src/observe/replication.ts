/**
 * What to do about one name, so that the network of that name is on this host as on the others. Pure, and
 * without memory of its own: whatever was interrupted, the next look at the same three things goes on from
 * there. They are what Docker has here, the recipe that the hosts share, and this host's note of the network
 * that follows the recipe (its replica), which is written before anything is done because of it.
 *
 * The note tells apart what otherwise looks the same: a network that the user has just made from one whose
 * recipe is gone, and one that the user has removed from one that has yet to be made.
 */
import type { LedgerReplica } from '../agent/ledger.ts';
import type { Recipe } from '../model/records.ts';
import { type DockerNetwork, isAlike } from './docker-network.ts';

/** One that Docker has here. */
export interface LocalNetwork extends DockerNetwork {
  /** Key of the weft network that it is; absent: it is not weft's. */
  readonly key?: string;
  /** The store has it that this host takes part by it. */
  readonly isTold: boolean;
  /** All its subnets were chosen by weft. */
  readonly automatic: boolean;
}

export interface Sight {
  readonly host: string;
  /** All of the name that Docker has here. */
  readonly networks: readonly LocalNetwork[];
  readonly recipe: Recipe | undefined;
  readonly replica: LedgerReplica | undefined;
  /** Whether the store has the weft network of this key. */
  readonly exists: (key: string) => boolean;
}

export type Step =
  /** All is well, or to be left as it is. */
  | { readonly do: 'nothing'; readonly because?: string }
  /** Tell the others of it. */
  | { readonly do: 'publish'; readonly recipe: Recipe }
  | { readonly do: 'note'; readonly replica: LedgerReplica }
  /** It is not in Docker any more. Removed by the user, if there is a recipe to renounce. */
  | { readonly do: 'forget'; readonly replica: LedgerReplica; readonly renounced?: Recipe }
  | { readonly do: 'renounce'; readonly recipe: Recipe }
  | { readonly do: 'resume'; readonly recipe: Recipe }
  /** The last host that took part is gone. */
  | { readonly do: 'discard'; readonly recipe: Recipe }
  | { readonly do: 'create'; readonly recipe: Recipe }
  /** If no container refers to it; else it stays, for that reason. */
  | { readonly do: 'remove'; readonly network: LocalNetwork; readonly else: string };

export function nextStep({ host, networks, recipe, replica, exists }: Sight): Step {
  if (recipe !== undefined && !exists(recipe.network)) return { do: 'discard', recipe };
  const isWithout = recipe?.without.includes(host) === true;
  const noted = replica?.docker;
  const isHere = (id: string) => networks.some((network) => network.id === id);
  // Made here, offered to all, and removed again, all before it was noted.
  if (recipe?.host === host && replica === undefined && !isHere(recipe.id)) return { do: 'renounce', recipe };
  if (replica !== undefined && noted !== undefined && !isHere(noted)) {
    const renounces = recipe !== undefined && recipe.id === replica.recipe && !isWithout;
    return { do: 'forget', replica, ...(renounces && { renounced: recipe }) };
  }
  const own =
    networks.find(({ id }) => id === noted) ??
    networks.find(({ key }) => key !== undefined && key === recipe?.network) ??
    networks.find(({ key }) => key !== undefined);
  if (own?.key === undefined) return withoutOwn({ networks, recipe, replica, isWithout });

  if (replica !== undefined && noted === undefined) {
    return own.key === replica.network
      ? { do: 'note', replica: { ...replica, docker: own.id } }
      : { do: 'forget', replica };
  }
  if (own.options['weft.replicate'] === 'off') {
    return recipe === undefined
      ? { do: 'nothing' }
      : { do: 'nothing', because: `it is this host's alone here, by weft.replicate=off` };
  }
  if (recipe !== undefined && recipe.network === own.key) {
    if (isWithout) return { do: 'resume', recipe };
    if (replica?.recipe === recipe.id) return withSecond(networks, own, recipe);
    return { do: 'note', replica: { id: own.name, recipe: recipe.id, network: own.key, docker: own.id } };
  }
  // Not removed, but forgotten: by a store that has lost everything, say.
  if (!own.isTold || !exists(own.key))
    return { do: 'nothing', because: 'the store has lost it; remove it, and make it again' };
  if (replica !== undefined) {
    return { do: 'remove', network: own, else: 'it was removed on another host, and containers use it here' };
  }
  if (recipe === undefined) return { do: 'publish', recipe: recipeOf(own, own.key, host) };
  return clash(own, recipe, isWithout);
}

/** Docker before 25 makes two networks of one name when it is asked for both at once: by the user, and by weft. */
function withSecond(networks: readonly LocalNetwork[], own: LocalNetwork, recipe: Recipe): Step {
  const second = networks.find(({ id }) => id !== own.id);
  if (second === undefined) return { do: 'nothing' };
  const because = `Docker has two networks of this name here; remove ${second.id.slice(0, 12)}, which is not the one of the other hosts`;
  return canGo(second, recipe)
    ? { do: 'remove', network: second, else: because }
    : { do: 'nothing', because };
}

/** Nothing but a subnet of weft's choice, if that, makes it another. */
function canGo(network: LocalNetwork, recipe: Recipe): boolean {
  return (network.automatic || network.key === recipe.network) && isAlike(network, recipe);
}

function withoutOwn({
  networks: [other],
  recipe,
  replica,
  isWithout,
}: Pick<Sight, 'networks' | 'recipe' | 'replica'> & { readonly isWithout: boolean }): Step {
  if (replica !== undefined && recipe?.id !== replica.recipe) return { do: 'forget', replica };
  if (recipe === undefined || isWithout) return { do: 'nothing' };
  if (other === undefined) return { do: 'create', recipe };
  return {
    do: 'nothing',
    because: `a network of driver ${other.driver} has its name here; remove that, or make the other by another name`,
  };
}

/**
 * Two hosts have made networks of one name at the same moment. The recipe is the first one's; the other one gives
 * way if nothing but a subnet of weft's choice makes it another.
 */
function clash(own: LocalNetwork, recipe: Recipe, isWithout: boolean): Step {
  const subnets = recipe.ipam.subnets.map(({ subnet }) => subnet).join(' and ');
  const because = `on other hosts it is another network, with subnet ${subnets}; remove this one to have that, or make it by another name`;
  if (!canGo(own, recipe)) return { do: 'nothing', because };
  return isWithout ? { do: 'resume', recipe } : { do: 'remove', network: own, else: because };
}

function recipeOf(
  { automatic: _, isTold: __, key: ___, ...network }: LocalNetwork,
  key: string,
  host: string,
): Recipe {
  return { v: 1, ...network, host, network: key, without: [] };
}
