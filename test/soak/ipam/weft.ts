/**
 * weft as far as addresses go: the agent's use cases put together as `startAgent` does, over a ledger in memory, a
 * kernel that is never asked to wire anything, and a clock of the play's. It lives until it is killed.
 */
import { pino } from 'pino';
import { addressManagement } from '../../../src/agent/address-management.ts';
import { addressUseCases } from '../../../src/agent/addresses.ts';
import { announcementsTo } from '../../../src/agent/announcements.ts';
import type { AddressCalls, EndpointKey, NetworkCalls } from '../../../src/agent/calls.ts';
import { Cluster } from '../../../src/agent/cluster.ts';
import { dealingsWith } from '../../../src/agent/dealings.ts';
import { endpointUseCases } from '../../../src/agent/endpoints.ts';
import { joinedAddresses } from '../../../src/agent/ledger.ts';
import { lostEndpoints } from '../../../src/agent/lost-endpoints.ts';
import { Membership } from '../../../src/agent/membership.ts';
import { memoryOf } from '../../../src/agent/memory.ts';
import { networkUseCases } from '../../../src/agent/networks.ts';
import { Reconciler } from '../../../src/agent/reconciler.ts';
import { settlement } from '../../../src/agent/settlement.ts';
import type { ThisHost } from '../../../src/agent/this-host.ts';
import { unneededIn } from '../../../src/agent/unneeded.ts';
import { Views } from '../../../src/agent/views.ts';
import { WeftError } from '../../../src/errors.ts';
import { assignments, releaseHeld } from '../../../src/ipam/addresses.ts';
import type { Ipam } from '../../../src/ipam/ipam.ts';
import { givenAddresses, recallUsed } from '../../../src/ipam/outage.ts';
import { refillSpares } from '../../../src/ipam/provision.ts';
import { sharedStore } from '../../../src/ipam/shared-store.ts';
import { parsePrefix } from '../../../src/model/address.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import type { Store } from '../../../src/store/store.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { type FakeDisk, ledgerOn } from '../../fakes/ledger.ts';
import { type Life, mortalStore } from '../../fakes/mortal.ts';
import { Watcher } from '../../fakes/watcher.ts';

export interface WeftOptions extends Pick<Ipam, 'hostId' | 'now' | 'clock' | 'random' | 'randomId'> {
  readonly store: Store;
  readonly root: string;
  readonly disk: FakeDisk;
  readonly life: Life;
  /** Whether the endpoint is in a container that runs, or is being joined. */
  readonly hasLink: (endpointId: string) => boolean;
}

export interface Weft {
  readonly network: Pick<
    NetworkCalls,
    'createNetwork' | 'deleteNetwork' | 'createEndpoint' | 'deleteEndpoint' | 'leave'
  >;
  readonly addresses: AddressCalls;
  /** Join, without the wiring. */
  join(key: EndpointKey): Promise<void>;
  /** One look for what is held for nobody, if the store is there. */
  look(): Promise<void>;
  /** Resolves when it knows all that had happened by that revision. */
  hasHeard(revision: bigint): Promise<void>;
  /** It does not follow the store any more. */
  end(): void;
}

/** Far from all subnets. */
const uplink = { name: 'eth0', mtu: 1500, addresses: ['192.0.2.1/24'] };
const log = pino({ level: 'silent' });

export function startWeft(options: WeftOptions): Weft {
  const { hostId, life, now, clock, random, randomId } = options;
  const keys = keysBelow(options.root);
  const ledger = ledgerOn(options.disk, life);
  const line = mortalStore(options.store, life);
  const watcher = new Watcher(
    line,
    keys.root,
    (mirror, changed) => shared.spares.hear(mirror, changed),
    keys.unwatched,
  );
  const { mirror } = watcher;
  // What a dead process cannot keep is nobody's loss.
  const failed = () => {};
  const shared = sharedStore({ store: line, mirror, keys, hostId, shelf: ledger.blocks, now, failed });
  const { store } = shared;
  const cluster = new Cluster(mirror, keys, log);
  const membership = new Membership(store, keys, hostId, { clock, random });
  const kernel = new FakeKernel([uplink]);
  const underlay = () => ({
    hostId,
    address: '192.0.2.1',
    link: uplink.name,
    mtu: uplink.mtu,
    vxlanPort: 4789,
  });
  const ipam: Ipam = {
    ...addressManagement({
      ...shared,
      ...{ cluster, ledger, kernel },
      rules: {
        automaticSubnets: { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } },
        excludedRanges: [],
        blockSize: 64,
        addressRestMs: 60_000,
      },
    }),
    ...{ now, clock, random, randomId },
  };
  recallUsed(ipam, joinedAddresses(ledger));
  const announcements = announcementsTo(ipam);
  const host: ThisHost = {
    ...{ id: hostId, underlay, cluster, ledger, kernel, membership, announcements, log },
    views: new Views(cluster, ledger, underlay, () => false),
    // Never opened: it does nothing.
    reconciler: new Reconciler({ pass: async () => 0, scopes: async () => [], fullPassMs: 30_000, log }),
    leadsToOthers: () => true,
    ...dealingsWith({
      connected: () => mirror.connected,
      async ready() {
        if (!mirror.connected) throw new WeftError('unavailable', 'the store is away');
      },
      isAway: () => !mirror.connected,
      isCopied: () => false,
      log,
    }),
  };
  const memory = memoryOf({
    ...{ hostId, ipam, cluster, ledger, membership, announcements, log },
    epoch: { hasTurned: () => false },
    told: () => {},
    over: () => {},
  });
  const { isCreating, ...networks } = networkUseCases(host);
  const endpoints = endpointUseCases(host, { unpublish: async () => {} });
  const giveUpLost = lostEndpoints({
    ...{ ledger, clock, log, deleteEndpoint: endpoints.deleteEndpoint },
    isLinked: async ({ id }) => options.hasLink(id),
    isJoining: () => false,
    hasJoined: () => false,
    isUntaken: async () => false,
    keepsSandbox: () => true,
    leaveSandbox: () => {},
  });
  const addresses = addressUseCases(host, ipam, giveUpLost);
  const settling = settlement({
    ...{ hostId, cluster, ledger, membership, announcements, log, now },
    heldAddresses: async () => [...(await assignments(ipam)), ...givenAddresses(ipam)],
    releaseAddress: (held) => releaseHeld(ipam, held),
    unneeded: unneededIn(ipam, cluster),
    releasePool: addresses.releasePool,
    unlinkedEndpoints: () =>
      ledger.endpoints.all().filter(({ id, sandbox }) => sandbox !== undefined && !options.hasLink(id)),
    isCreating,
    untakenEndpoints: async () => [],
    lostInDocker: async () => [],
    forgetUnlinked: ({ id }) => ledger.endpoints.delete(id),
    deleteNetwork: networks.deleteNetwork,
    deleteEndpoint: endpoints.deleteEndpoint,
  });

  return {
    network: { ...networks, ...endpoints },
    addresses,
    async join({ endpoint: id }) {
      const endpoint = ledger.endpoints.get(id);
      if (endpoint === undefined) throw new WeftError('not-found', `there is no endpoint ${id}`);
      await ledger.endpoints.put({ ...endpoint, sandbox: id });
    },
    async look() {
      if (!mirror.connected) return;
      await memory.tellAgain();
      await settling.look();
      await refillSpares(ipam).catch(() => {});
    },
    hasHeard: (revision) => watcher.until(() => mirror.connected && mirror.revision >= revision),
    end: () => void watcher.stop(),
  };
}
