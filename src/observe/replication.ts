/**
 * What to do about one name, so that the network of that name is on this host as on the others. Pure, and
 * without memory of its own: whatever was interrupted, the next look at the same three things goes on from
 * there. They are what Docker has here, the recipe that the hosts share, and this host's note of the network
 * that follows the recipe (its replica), which is written before anything is done because of it.
 *
 * The note tells apart what otherwise looks the same: a network that the user has just made from one whose
 * recipe is gone, and one that the user has removed from one that has yet to be made.
 *
 * That a recipe is gone says that the network was removed only in the epoch of the store in which it was noted. In a
 * later one the store has lost it, and is told it again, as the same: whoever has removed it, at whatever moment, knows it
 * by its id, and so does the record of its removal.
 */
import { isDeepStrictEqual } from 'node:util';
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
  /** Of the store. */
  readonly epoch: string;
  /** All of the name that Docker has here. */
  readonly networks: readonly LocalNetwork[];
  readonly recipe: Recipe | undefined;
  readonly replica: LedgerReplica | undefined;
  /** Whether the store has the weft network of this key. */
  readonly exists: (key: string) => boolean;
  /** Whether it has it that the network of the recipe of this id was removed. */
  readonly wasRemoved: (id: string) => boolean;
}

export type Step =
  /** All is well, or to be left as it is. */
  | { readonly do: 'nothing'; readonly because?: string }
  /** Tell the others of it. */
  | { readonly do: 'publish'; readonly recipe: Recipe }
  | { readonly do: 'note'; readonly replica: LedgerReplica }
  /** It is not in Docker any more. */
  | { readonly do: 'forget'; readonly replica: LedgerReplica }
  /** It is not in Docker any more, and the note of it has to stay. */
  | { readonly do: 'clear'; readonly replica: LedgerReplica }
  /** The user has removed it. The note stays until the store says that this is known, or it says nothing. */
  | { readonly do: 'renounce'; readonly recipe: Recipe }
  | { readonly do: 'resume'; readonly recipe: Recipe }
  /** The last host that took part is gone. */
  | { readonly do: 'discard'; readonly recipe: Recipe }
  /** And note it first, without the id that it will have. */
  | { readonly do: 'create'; readonly recipe: Recipe; readonly replica: LedgerReplica }
  /** If no container refers to it; else it stays, for that reason. */
  | { readonly do: 'remove'; readonly network: LocalNetwork; readonly else: string };

export function nextStep(sight: Sight): Step {
  const { host, epoch, networks, recipe, replica, exists } = sight;
  if (recipe !== undefined && !exists(recipe.network)) return { do: 'discard', recipe };
  const isWithout = recipe?.without.includes(host) === true;
  const noted = replica?.docker;
  const isHere = (id: string) => networks.some((network) => network.id === id);
  const isLost = recipe === undefined && isFromBefore(sight);
  // Made here, offered to all, and removed again, all before it was noted.
  if (recipe?.host === host && replica === undefined && !isHere(recipe.id)) return { do: 'renounce', recipe };
  if (replica !== undefined && noted !== undefined && !isHere(noted)) {
    // Removed by the user, which can be told as soon as another host has told the store of it again.
    if (isLost && networks.length === 0) return { do: 'clear', replica };
    if (recipe?.id === replica.recipe && !isWithout) return { do: 'renounce', recipe };
    return { do: 'forget', replica };
  }
  const own =
    networks.find(({ id }) => id === noted) ??
    networks.find(({ key }) => key !== undefined && key === recipe?.network) ??
    networks.find(({ key }) => key !== undefined);
  if (own?.key === undefined) return withoutOwn(sight, isWithout);

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
    const note = { ...noteOf(recipe, epoch), docker: own.id };
    if (isDeepStrictEqual(replica, note)) return withSecond(networks, own, recipe);
    return { do: 'note', replica: note };
  }
  // Not removed, but forgotten: by a store that has lost everything, say.
  if (!own.isTold || !exists(own.key))
    return {
      do: 'nothing',
      because: 'the store has lost it, and is told it again; if this stays, remove it, and make it again',
    };
  if (replica !== undefined && isLost) return { do: 'publish', recipe: recipeAgain(own, replica, host) };
  if (replica !== undefined && !isFromBefore(sight)) {
    return { do: 'remove', network: own, else: 'it was removed on another host, and containers use it here' };
  }
  if (recipe === undefined) return { do: 'publish', recipe: recipeOf(own, own.key, host, epoch) };
  return clash(own, recipe, isWithout);
}

/** Whether the note is of an earlier epoch, and nothing says that the network was removed since. */
function isFromBefore({ replica, epoch, wasRemoved }: Sight): boolean {
  return replica?.epoch !== undefined && replica.epoch !== epoch && !wasRemoved(replica.recipe);
}

function noteOf({ name, id, network, without }: Recipe, epoch: string): LedgerReplica {
  return { id: name, recipe: id, network, epoch, ...(without.length > 0 && { without }) };
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

function withoutOwn({ networks: [other], recipe, replica, epoch }: Sight, isWithout: boolean): Step {
  if (replica !== undefined && recipe?.id !== replica.recipe) return { do: 'forget', replica };
  if (recipe === undefined || isWithout) return { do: 'nothing' };
  if (other === undefined) return { do: 'create', recipe, replica: noteOf(recipe, epoch) };
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
  epoch: string,
): Recipe {
  return { v: 1, ...network, host, network: key, without: [], epoch };
}

/** As the store had it. */
function recipeAgain(own: LocalNetwork, replica: LedgerReplica, thisHost: string): Recipe {
  const { recipe: id, network, epoch = '', without = [] } = replica;
  const { host, ...recipe } = recipeOf(own, network, thisHost, epoch);
  return { ...recipe, id, without, ...(own.id === id && { host }) };
}
