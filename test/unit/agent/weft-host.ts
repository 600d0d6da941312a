/** weft on one host of a test's cluster: the real agent, on a kernel in memory, on the store the hosts share. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, vi } from 'vitest';
import { type Agent, startAgent } from '../../../src/agent/agent.ts';
import type { Kernel } from '../../../src/kernel/kernel.ts';
import type { Log } from '../../../src/log.ts';
import { parsePrefix } from '../../../src/model/address.ts';
import { containerEnd } from '../../../src/model/names.ts';
import { type Keys, keysBelow } from '../../../src/store/keys.ts';
import { mirroring } from '../../../src/store/mirror.ts';
import type { Store } from '../../../src/store/store.ts';
import { FakeKernel } from '../../fakes/kernel.ts';

export const keys: Keys = keysBelow('/weft/v1/');
export const resyncMs = 30_000;

/** Hosts that have been started and not removed. */
const hosts = new Set<Pick<WeftHost, 'remove'>>();

/** Makes the timers of weft the test's. Hosts end with their test. */
export function useTestTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  });
  afterEach(async () => {
    for (const host of hosts) await host.remove();
    vi.useRealTimers();
  });
}

export interface WeftHost extends Agent {
  readonly id: string;
  readonly kernel: FakeKernel;
  readonly stateDir: string;
  /** weft ends and starts again: the disk is as it was, and the kernel too unless there is another. */
  restart(kernel?: FakeKernel): Promise<WeftHost>;
  /** For good: its disk goes too. */
  remove(): Promise<void>;
}

/** A kernel as it is after boot: eth0 with 10.9.0.<number>. */
export function freshKernel(number = 1): FakeKernel {
  return new FakeKernel([{ name: 'eth0', mtu: 1500, addresses: [`10.9.0.${number}/24`] }]);
}

/** The process alone: a kernel and a disk that are there already, and outlive it. */
export function startWeft(on: {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly stateDir: string;
  readonly number: number;
  readonly boot?: string;
  readonly log?: Log;
}): Agent {
  return startAgent({
    // Of its own, so that one host's end is not the end of all.
    store: { ...mirroring(on.store, () => []), close: async () => {} },
    kernel: on.kernel,
    storePrefix: keys.root,
    storeEndpoints: ['http://10.9.0.100:2379'],
    hostName: `h${on.number}`,
    boot: on.boot ?? `boot of h${on.number}`,
    stateDir: on.stateDir,
    automaticSubnets: { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } },
    blockSize: 64,
    excludedRanges: [],
    addressRestMs: 60_000,
    shortcut: true,
    vxlanPort: 4789,
    probePort: 9338,
    resyncMs,
    lostInDocker: async () => [],
    log: on.log ?? pino({ level: 'silent' }),
  });
}

/** Host `h<number>`. Its id tells it too. */
export function startHost(
  store: Store,
  number = 1,
  kernel = freshKernel(number),
  log: Log = pino({ level: 'silent' }),
): WeftHost {
  const stateDir = mkdtempSync(join(tmpdir(), 'weft-agent-'));
  const id = String(number).padStart(12, '0');
  writeFileSync(join(stateDir, 'host-id'), `${id}\n`);
  const running = {
    close: async () => {},
    async remove(): Promise<void> {
      hosts.delete(running);
      await running.close();
      rmSync(stateDir, { recursive: true });
    },
  };
  hosts.add(running);

  function start(kernel: FakeKernel): WeftHost {
    const agent = startWeft({ store, kernel, stateDir, number, log });
    running.close = agent.close;
    return {
      ...agent,
      id,
      kernel,
      stateDir,
      async restart(next = kernel) {
        await agent.close();
        return start(next);
      },
      remove: running.remove,
    };
  }
  return start(kernel);
}

/** Lets time pass until the call has ended, and answers or throws what it does. */
export async function outlast<T>(call: Promise<T>): Promise<T> {
  let isPending = true;
  const end = () => {
    isPending = false;
  };
  call.then(end, end);
  while (isPending) await letPass(100);
  return call;
}

/** Less than anything of weft's that gives up waits for. */
const stepMs = 500;

/** Lets time pass, and everything happen that is due by then; while weft waits for its disk, time stands still. */
export async function letPass(durationMs: number): Promise<void> {
  let left = durationMs;
  do {
    await vi.advanceTimersByTimeAsync(Math.min(left, stepMs));
    await diskAtRest();
    left -= stepMs;
  } while (left > 0);
}

async function diskAtRest(): Promise<void> {
  do await new Promise(setImmediate);
  while (process.getActiveResourcesInfo().some((kind) => kind.startsWith('FSReq')));
}

/** Lets time pass until it is so; the test's own time limit ends a wait in vain. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await letPass(100);
}

/** Waits until the hosts of a routed network hold the way to each other for found: by probes, at the pace of no test. */
export async function waysAreFound(hosts: readonly WeftHost[]): Promise<void> {
  for (const { kernel } of hosts) await until(async () => (await kernel.host.read()).rules.length > 0);
}

export interface MadeNetwork {
  readonly id: string;
  readonly poolId: string;
  readonly cidr: string;
  readonly gateway: string;
}

/** What Docker sees of a weft. */
type Weft = Pick<Agent, 'network' | 'addresses'>;

/** As Docker does for `docker network create --subnet`. */
export async function createNetwork(
  host: Weft,
  of: { readonly id: string; readonly subnet: string; readonly options?: Readonly<Record<string, string>> },
): Promise<MadeNetwork> {
  const { id, subnet, options = {} } = of;
  const { poolId, cidr } = await host.addresses.requestPool({ pool: subnet, options: {}, family: 4 });
  const gateway = await host.addresses.requestAddress({ poolId, purpose: 'gateway' });
  await host.network.createNetwork({ id, options, internal: false, pools: [{ cidr, gateway }] });
  return { id, poolId, cidr, gateway };
}

/** As Docker does for `docker network rm`. */
export async function removeNetwork(host: Weft, { id, poolId, gateway }: MadeNetwork): Promise<void> {
  await host.addresses.releaseAddress(poolId, withoutLength(gateway));
  await host.addresses.releasePool(poolId);
  await host.network.deleteNetwork(id);
}

export interface Container {
  readonly network: string;
  readonly endpoint: string;
  readonly poolId: string;
  /** Without prefix length. */
  readonly address: string;
}

/** As Docker does for `docker run`. */
export async function startContainer(
  host: Weft & Pick<WeftHost, 'kernel'>,
  { id: network, poolId }: MadeNetwork,
  name: string,
): Promise<Container> {
  const container = await createContainer(host, { id: network, poolId }, name);
  await host.network.join({ ...container, sandbox: `/run/docker/netns/${name}` });
  host.kernel.takeEnd(containerEnd(container.endpoint));
  return container;
}

/** As `startContainer`, up to Join. */
export async function createContainer(
  host: Weft,
  { id: network, poolId }: Pick<MadeNetwork, 'id' | 'poolId'>,
  name: string,
): Promise<Container> {
  const endpoint = name.padEnd(64, '0');
  const address = await host.addresses.requestAddress({ poolId, purpose: 'other' });
  await host.network.createEndpoint({ network, endpoint, addresses: [address] });
  return { network, endpoint, poolId, address: withoutLength(address) };
}

/** As Docker does for `docker stop`. */
export async function stopContainer(host: Weft, container: Container): Promise<void> {
  await host.network.leave(container);
  await host.network.deleteEndpoint(container);
  await host.addresses.releaseAddress(container.poolId, container.address);
}

export function withoutLength(address: string): string {
  return address.replace(/\/.*/, '');
}

/** Keys of weft, without what hosts say of themselves, and the store's epoch. */
export async function keysIn(store: Store): Promise<string[]> {
  const { entries } = await store.list(keys.root);
  const isOfHost = (key: string) => ['host', 'alive', 'epoch'].includes(keys.parse(key)?.kind ?? '');
  return entries.map(({ key }) => key).filter((key) => !isOfHost(key));
}
