/** Builds each thing with an effect once, and puts them together. Loaded after the sockets are open. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, startAgent } from './agent/agent.ts';
import { type Upkeep, upkeepOf } from './cli/upkeep.ts';
import type { Config, StoreAccess } from './config.ts';
import { WeftError } from './errors.ts';
import { bootId } from './kernel/boot.ts';
import { takeResolverPlace } from './kernel/docker-resolver.ts';
import { openKernel } from './kernel/linux.ts';
import { sandboxFile } from './kernel/sandbox.ts';
import type { Log } from './log.ts';
import { printAddress } from './model/address.ts';
import { answerContainers } from './names/containers.ts';
import { nameContainers } from './observe/container-names.ts';
import { dockerAt } from './observe/docker.ts';
import { followDocker } from './observe/follow.ts';
import { lostNetworks } from './observe/lost-networks.ts';
import { startReplication } from './observe/replicator.ts';
import { startBundledEtcd } from './store/bundled-etcd.ts';
import { systemClock } from './store/clock.ts';
import { openEtcdStore } from './store/etcd.ts';
import type { EtcdAccess } from './store/etcd-options.ts';
import type { Store } from './store/store.ts';

export interface Weft extends Agent {
  readonly upkeep: Upkeep;
}

/** @throws WeftError when this host cannot be served at all: a certificate that is not there, no netlink */
export async function start(config: Config, log: Log, signal: AbortSignal): Promise<Weft> {
  const kernel = await openKernel({ runDir: config.runDir });
  kernel.makeSysctlsWritable();
  const { store, endpoints } = openStore(config, log, signal);
  const docker = dockerAt(join(config.runDir, 'docker.sock'));
  const agent = startAgent({
    store,
    kernel,
    storePrefix: config.storePrefix,
    storeEndpoints: endpoints,
    ...(config.address && { address: printAddress(config.address) }),
    hostName: config.hostName,
    boot: bootId(),
    stateDir: config.stateDir,
    automaticSubnets: config.automaticSubnets,
    blockSize: config.blockSize,
    excludedRanges: config.excludedRanges,
    addressRestMs: config.addressRestMs,
    shortcut: config.shortcut,
    vxlanPort: config.vxlanPort,
    probePort: config.probePort,
    resyncMs: config.resyncMs,
    lostInDocker: async (networks) => lostNetworks(docker, await docker.networks(), networks),
    log,
  });
  const observing = {
    docker,
    resyncMs: config.resyncMs,
    clock: systemClock,
    random: Math.random,
    log,
    signal,
  };
  const naming = nameContainers({ ...observing, nameBook: agent.nameBook });
  const replication = config.replicate ? startReplication({ ...observing, agent }) : undefined;
  void followDocker({
    ...observing,
    listeners: [naming, ...(replication === undefined ? [] : [replication])],
  });
  const upkeep = upkeepOf({
    agent,
    docker,
    replicationTroubles: () => replication?.troubles() ?? new Map(),
    clock: systemClock,
  });
  const named = config.names ? tellingNames(agent, config.runDir, log, signal) : agent;
  return { ...named, upkeep };
}

/** The agent, whose containers are told names. */
function tellingNames(agent: Agent, runDir: string, log: Log, signal: AbortSignal): Agent {
  const { nameBook, network } = agent;
  const takePlace = (sandbox: string) => takeResolverPlace(sandboxFile(runDir, sandbox));
  const names = answerContainers({ nameBook, takePlace, random: Math.random, log, signal });
  return {
    ...agent,
    network: {
      ...network,
      async join(request) {
        const attachment = await network.join(request);
        names.look();
        return attachment;
      },
      async leave(key) {
        await network.leave(key);
        names.look();
      },
    },
  };
}

function openStore(
  { store: access, stateDir }: Config,
  log: Log,
  signal: AbortSignal,
): { readonly store: Store; readonly endpoints: readonly string[] } {
  if (access !== undefined) return { store: openShared(access), endpoints: access.endpoints };
  log.warn('no WEFT_ETCD_ENDPOINTS: this host is on its own, with an etcd that serves no other');
  const { endpoint } = startBundledEtcd({ dataDir: join(stateDir, 'etcd'), log, signal });
  return { store: openEtcdStore({ endpoints: [endpoint] }), endpoints: [] };
}

function openShared(access: StoreAccess): Store {
  return openEtcdStore({ endpoints: access.endpoints, renewed: () => shownToEtcd(access) });
}

/** Read again and again: certificates and passwords are renewed while weft runs. */
function shownToEtcd({ caFile, client, login }: StoreAccess): EtcdAccess {
  return {
    ...(caFile !== undefined && { ca: readSetting('WEFT_ETCD_CA', caFile) }),
    ...(client !== undefined && {
      cert: readSetting('WEFT_ETCD_CERT', client.certFile),
      key: readSetting('WEFT_ETCD_KEY', client.keyFile),
    }),
    ...(login !== undefined && {
      username: login.user,
      password: readSetting('WEFT_ETCD_PASSWORD_FILE', login.passwordFile).toString().trim(),
    }),
  };
}

function readSetting(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new WeftError('invalid', `cannot read ${path}, which ${name} names`, { cause });
  }
}
