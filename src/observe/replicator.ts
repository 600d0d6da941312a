/**
 * Has each network of weft's on every host, under the same name in Docker: a pass looks at what Docker has here
 * and what the hosts share, and takes one step after the other (`replication.ts`) until there is none. Events
 * of Docker, news of the store, a failure and the clock do nothing but start a pass.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Agent } from '../agent/agent.ts';
import { coalesce } from '../agent/coalesce.ts';
import type { LedgerReplica } from '../agent/ledger.ts';
import { explain } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Recipe } from '../model/records.ts';
import { backOff } from '../store/back-off.ts';
import type { Clock } from '../store/clock.ts';
import type { Docker, DockerEvent } from './docker.ts';
import type { DockerNetwork } from './docker-network.ts';
import type { DockerListener } from './follow.ts';
import { type LocalNetwork, nextStep, type Step } from './replication.ts';

export interface ReplicationParts {
  readonly docker: Docker;
  readonly agent: Pick<Agent, 'hostId' | 'ledger' | 'recipes' | 'network' | 'addresses'>;
  readonly resyncMs: number;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface Replication extends DockerListener {
  /** Networks that are not here as on the other hosts, by name, and why. */
  readonly troubles: () => ReadonlyMap<string, string>;
}

/** Names that are worked on at once: dockerd makes networks one after the other, but waits for weft between. */
const atOnce = 4;

const unreadable =
  'what the hosts share of it in the store is damaged, or of a newer weft; nothing is done about it here meanwhile';

export function startReplication(parts: ReplicationParts): Replication {
  const { docker, agent, clock, random, log, signal } = parts;
  const { hostId, ledger, recipes } = agent;
  const troubles = new Map<string, string>();
  const pause = backOff(500, 60_000, random);
  let connected = false;
  /** A network is to go as soon as containers let it, or is being found out to. */
  let waits = false;
  /** As this pass has it. */
  let stillWaits = false;
  let retrying = false;

  /** @returns whether all went well */
  async function look(): Promise<boolean> {
    const held = recipes.all();
    if (held === undefined || !connected || signal.aborted) return true;
    const networks = await docker.networks();
    const names = new Set([
      ...held.recipes.map(({ name }) => name),
      ...ledger.replicas.all().map(({ id }) => id),
      ...networks.filter(({ id }) => ledger.networks.get(id) !== undefined).map(({ name }) => name),
    ]);
    for (const name of troubles.keys()) if (!names.has(name)) troubles.delete(name);
    const queue = names.values();
    let wentWell = true;
    const work = async () => {
      for (const name of queue) {
        await settle(name, networks).catch((error: unknown) => {
          report(name, explain(error));
          wentWell = false;
        });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return wentWell;
  }

  /** One name, from what Docker had when the pass began, and what is done meanwhile. */
  async function settle(name: string, listed: readonly DockerNetwork[]): Promise<void> {
    let networks = listed.filter((network) => network.name === name);
    let last: Step | undefined;
    for (;;) {
      const held = recipes.all();
      // The store has gone; a pass starts when it is back.
      if (held === undefined) return;
      const recipe = held.recipes.find((recipe) => recipe.name === name);
      // To go on as if there were none would be to remove the network.
      if (recipe === undefined && recipes.isTaken(name)) return report(name, unreadable);
      const step = nextStep({
        host: hostId,
        epoch: held.epoch,
        networks: networks.map(localOf),
        recipe,
        replica: ledger.replicas.get(name),
        exists: recipes.hasNetwork,
        wasRemoved: recipes.wasRemoved,
      });
      if (step.do === 'nothing') return report(name, step.because);
      // Another host was faster, and its news are on their way here; they start a pass.
      if (isDeepStrictEqual(step, last)) return;
      last = step;
      const left = await take(step, networks);
      if (left === undefined) return;
      networks = left;
    }
  }

  /** @returns the networks of the name that there are now; undefined: nothing more can be done */
  async function take(
    step: Exclude<Step, { do: 'nothing' }>,
    networks: DockerNetwork[],
  ): Promise<DockerNetwork[] | undefined> {
    switch (step.do) {
      case 'publish':
        await recipes.publish(step.recipe);
        log.info({ network: step.recipe.name }, 'network is offered to all hosts');
        return networks;
      case 'note':
        await ledger.replicas.put(step.replica);
        return networks;
      case 'renounce':
        await renounce(step.recipe);
        return networks;
      case 'resume':
        await recipes.resume(step.recipe);
        return networks;
      case 'forget':
        await forget(step.replica);
        return networks;
      case 'clear':
        await clear(step.replica);
        report(step.replica.id, undefined);
        return undefined;
      case 'discard':
        await recipes.discard(step.recipe);
        return networks;
      case 'create':
        return [...networks, await create(step.recipe, step.replica)];
      case 'remove': {
        const { network } = step;
        // A name that stands for two says nothing of this one.
        const references = networks.length > 1 ? [network.id] : [network.id, network.name];
        // The last container may go before the answer is here.
        waits = true;
        if (await docker.isUsed(...references)) {
          stillWaits = true;
          report(network.name, step.else);
          return undefined;
        }
        await docker.removeNetwork(network.id);
        log.info({ network: network.name, docker: network.id }, 'network was removed, as on the other hosts');
        return networks.filter(({ id }) => id !== network.id);
      }
    }
  }

  async function create(recipe: Recipe, replica: LedgerReplica): Promise<DockerNetwork> {
    const { v: _, host: __, network: ___, without: ____, epoch: _____, ...wanted } = recipe;
    await ledger.replicas.put(replica);
    const id = await docker.createNetwork(wanted);
    await ledger.replicas.put({ ...replica, docker: id });
    log.info({ network: recipe.name, docker: id }, 'network is here, as on the other hosts');
    return { ...wanted, id };
  }

  async function renounce(recipe: Recipe): Promise<void> {
    await recipes.renounce(recipe);
    log.info({ network: recipe.name }, 'network was removed here');
  }

  async function forget(replica: LedgerReplica): Promise<void> {
    await clear(replica);
    await ledger.replicas.delete(replica.id);
  }

  /** Docker repeats no removal that weft was not there for. */
  async function clear({ docker: gone }: LedgerReplica): Promise<void> {
    if (gone === undefined || ledger.networks.get(gone) === undefined) return;
    const pools = ledger.pools.all().filter(({ network }) => network === gone);
    await Promise.all(pools.map((pool) => agent.addresses.releasePool(pool.id)));
    await agent.network.deleteNetwork(gone);
  }

  function localOf(network: DockerNetwork): LocalNetwork {
    const key = ledger.networks.get(network.id)?.key;
    const pools = ledger.pools.all().filter((pool) => pool.network === network.id);
    const automatic = pools.length > 0 && pools.every((pool) => pool.automatic === true);
    const isTold = key !== undefined && recipes.takesPart(key, network.id);
    return { ...network, ...(key !== undefined && { key }), isTold, automatic };
  }

  function report(name: string, trouble: string | undefined): void {
    if (troubles.get(name) === trouble) return;
    if (trouble === undefined) troubles.delete(name);
    else {
      troubles.set(name, trouble);
      log.warn({ network: name, reason: trouble }, 'network is not here as on the other hosts');
    }
  }

  const pass = coalesce(async () => {
    stillWaits = false;
    const wentWell = await look().catch((error: unknown) => {
      log.debug({ reason: explain(error) }, 'cannot look at the networks of this host');
      return false;
    });
    waits = stillWaits;
    if (wentWell) pause.reset();
    else void retry();
  });

  async function retry(): Promise<void> {
    if (retrying) return;
    retrying = true;
    await clock.sleep(pause.next(), signal);
    retrying = false;
    start();
  }

  function start(): void {
    if (!signal.aborted) void pass();
  }

  /** Containers come and go; that matters only while a network waits for the last of its own to go. */
  function bears({ type, action }: DockerEvent): boolean {
    if (type === 'network' && (action === 'create' || action === 'destroy')) return true;
    return waits && (action === 'destroy' || action === 'disconnect');
  }

  recipes.onChange(start);
  const timer = setInterval(start, parts.resyncMs);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  return {
    troubles: () => troubles,
    onConnect() {
      connected = true;
      start();
    },
    onEvent(event) {
      if (bears(event)) start();
    },
  };
}
