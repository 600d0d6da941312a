/** A service of swarm's on a network of weft's, and what the store holds for its tasks. */
import { parsePrefix, printAddress } from '../../src/model/address.ts';
import { records } from '../../src/model/records.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import { pluginName } from './cluster.ts';

/** By which swarm knows both drivers. */
export const fullName = `${pluginName}:latest`;

export interface Service {
  readonly lab: Lab;
  readonly manager: Host;
  readonly name: string;
  readonly network: string;
}

export interface Task {
  readonly host: Host;
  /** Of its container. */
  readonly id: string;
  readonly address: string;
}

/** Swarm may first have to find out that a host is lost. */
const settledMs = 120_000;

export async function createService({ manager, name, network }: Service, tasks: number): Promise<void> {
  await manager.docker([
    ...['service', 'create', '--detach', '--no-resolve-image', '--name', name, '--network', network],
    ...['--endpoint-mode', 'dnsrr', '--replicas', String(tasks)],
    ...[
      '--stop-signal',
      'KILL',
      '--restart-delay',
      '100ms',
      '--update-parallelism',
      '5',
      '--update-monitor',
      '500ms',
    ],
    ...[toolsImage, 'sleep', 'infinity'],
  ]);
}

/** Returns when so many tasks run, and all others have ended. */
export async function scale(service: Service, tasks: number): Promise<Task[]> {
  await service.manager.docker(['service', 'scale', '--detach', `${service.name}=${tasks}`]);
  return settled(service, tasks);
}

/** Waits until so many tasks run, and whatever else is asked of them is true. */
export async function settled(
  service: Service,
  count: number,
  areRight: (tasks: readonly Task[]) => boolean = () => true,
): Promise<Task[]> {
  let tasks: Task[] = [];
  const what = `service ${service.name} has settled at ${count} tasks`;
  await waitFor(
    what,
    async () => {
      tasks = await tasksOf(service);
      if (tasks.length !== count) throw new Error(`${tasks.length} run`);
      // One that is starting, or ending, is shown without.
      if (tasks.some(({ address }) => address === '')) throw new Error('not all have an address');
      return areRight(tasks);
    },
    settledMs,
  );
  return tasks;
}

/** Those that run, on hosts that are up. */
async function tasksOf({ lab, name, network }: Service): Promise<Task[]> {
  const tasks = lab.hosts
    .filter((host) => host.isUp)
    .map(async (host) => {
      const label = `label=com.docker.swarm.service.name=${name}`;
      const ids = await host.docker(['ps', '--quiet', '--filter', label]);
      if (ids === '') return [];
      const format = `{{.Id}} {{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
      const lines = await host.docker(['inspect', '--format', format, ...ids.split('\n')]);
      return lines.split('\n').map((line) => {
        const [id = '', address = ''] = line.split(' ');
        return { host, id, address };
      });
    });
  return (await Promise.all(tasks)).flat();
}

/** Waits until each task is answered by all; the routes of new neighbours may be a moment away. */
export async function reachEachOther(tasks: readonly Task[]): Promise<void> {
  const addresses = tasks.map(({ address }) => address);
  const script = 'for address; do ping -c 1 -W 1 "$address" >/dev/null || echo "$address"; done';
  await Promise.all(
    tasks.map(async ({ host, id, address }) => {
      await waitFor(`task ${address} on ${host.name} reaches all others`, async () => {
        const silent = await host.docker(['exec', id, 'sh', '-c', script, 'sh', ...addresses]);
        if (silent !== '') throw new Error(`no answer from ${silent.replaceAll('\n', ', ')}`);
        return true;
      });
    }),
  );
}

/** Waits until the store holds the addresses of these tasks, and no other address for anybody. */
export async function holdsOnly(service: Service, tasks: readonly Task[]): Promise<void> {
  const wanted = tasks.map(({ address }) => address).toSorted();
  await waitFor(
    'the store holds the addresses of the tasks that run, and no other',
    async () => {
      const held = await heldAddresses(service.lab);
      if (held.join() === wanted.join()) return true;
      throw new Error(`it holds ${held.join(', ')}; they have ${wanted.join(', ')}`);
    },
    settledMs,
  );
}

/** Assigned to a host, or kept for a task by a manager. */
async function heldAddresses(lab: Lab): Promise<string[]> {
  const values = await lab.etcd.ctl(['get', '--prefix', '--print-value-only', '/weft/v1/unwatched/blocks/']);
  const lines = values.split('\n').filter((line) => line !== '');
  return lines
    .flatMap((line) => {
      const { cidr, assigned, reserved } = records.block.parse(line);
      const { family, first } = parsePrefix(cidr);
      const offsets = Object.keys({ ...assigned, ...reserved });
      return offsets.map((offset) => printAddress({ family, value: first + BigInt(offset) }));
    })
    .toSorted();
}
