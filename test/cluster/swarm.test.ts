/** Services of a swarm on networks of weft's: those that the swarm makes, and those that each host makes for itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { formSwarm } from '../lab/swarm.ts';
import { waitFor } from '../lab/wait.ts';
import { complaint, leavesNoTrace, pluginName, startContainer, storeKeys } from './cluster.ts';
import { lookUp } from './look-up.ts';
import {
  createService,
  holdsOnly,
  reachEachOther,
  type Service,
  scale,
  settled,
  type Task,
} from './service.ts';
import { testCluster } from './test-lab.ts';
import { enter, readme, transcript } from './transcript.ts';

const many = 20;
const few = 9;

const lab = testCluster({
  name: 'swarm',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
    { name: 'h3', docker: '20.10' },
  ],
  settings: { WEFT_REPLICATE: 'on', WEFT_RESYNC_SECONDS: '5' },
});
const manager = lab.host('h1');
const others = [lab.host('h2'), lab.host('h3')];

const ways = [
  { way: 'the swarm has made', scope: 'global', heading: 'Made by the swarm' },
  { way: 'each host has made for itself', scope: 'local', heading: 'Made by each host' },
] as const;

async function enable(host: Host, scope: string): Promise<void> {
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  await host.docker(['plugin', 'set', pluginName, `WEFT_SCOPE=${scope}`]);
  await host.docker(['plugin', 'enable', pluginName]);
}

async function leaveSwarm(): Promise<void> {
  for (const host of [...others, manager]) await host.docker(['swarm', 'leave', '--force']);
}

describe.each(ways)('on a network that $way', ({ scope, heading }) => {
  let service: Service;
  let tasks: Task[];

  beforeAll(async () => {
    await Promise.all(lab.hosts.map((host) => enable(host, scope)));
    await formSwarm([manager, ...others]);
    for (const line of transcript(readme, heading)) await enter(lab, line);
    service = { lab, manager, name: 'web', network: 'blue' };
    await createService(service, many);
    tasks = await settled(service, many);
  });

  afterAll(leaveSwarm);

  test(`${many} tasks on three hosts all reach each other, and have the addresses that the store holds`, async () => {
    expect(new Set(tasks.map(({ host }) => host.name)).size).toBe(3);
    await reachEachOther(tasks);
    await holdsOnly(service, tasks);
  });

  test('the names of the service lead to all of its tasks, as on an overlay network', async () => {
    tasks = await scale(service, few);
    const addresses = tasks.map(({ address }) => address).toSorted();
    for (const host of lab.hosts) {
      await startContainer(host, 'blue', 'asker');
      for (const name of ['web', 'tasks.web']) {
        await waitFor(`${name} leads to all tasks from ${host.name}`, async () => {
          expect(await lookUp(host, 'asker', name)).toEqual(addresses);
          return true;
        });
      }
      await host.docker(['rm', '--force', 'asker']);
    }
  });

  test('a rolling update replaces every task', async () => {
    const earlier = new Set(tasks.map(({ id }) => id));
    await manager.docker(['service', 'update', '--detach', '--force', 'web']);
    tasks = await settled(service, few, (now) => now.every(({ id }) => !earlier.has(id)));
    await reachEachOther(tasks);
    await holdsOnly(service, tasks);
  });

  test('the tasks of a host that is drained move to the others', async () => {
    await manager.docker(['node', 'update', '--availability', 'drain', 'h2']);
    tasks = await settled(service, few, (now) => now.every(({ host }) => host.name !== 'h2'));
    await reachEachOther(tasks);
    await holdsOnly(service, tasks);
    await manager.docker(['node', 'update', '--availability', 'active', 'h2']);
  });

  // Where each host has made the network, the addresses are no matter of the manager's.
  if (scope === 'global') {
    test('the tasks of a manager whose daemon dies are replaced', async () => {
      await manager.killDockerd();
      await manager.startDockerd();
      tasks = await settled(service, few);
      await reachEachOther(tasks);
    });
  }

  test('those of a host that loses power move to the others, and neither keeps an address', async () => {
    const h3 = lab.host('h3');
    await h3.powerCut();
    tasks = await settled(service, few);
    await reachEachOther(tasks);
    await h3.boot();
    tasks = await settled(service, few);
    await holdsOnly(service, tasks);
  });

  test('a service that grows and shrinks leaves no address behind', async () => {
    for (const count of [1, many]) await holdsOnly(service, await scale(service, count));
  });

  test('what is removed leaves nothing', async () => {
    await scale(service, 0);
    await manager.docker(['service', 'rm', 'web']);
    await waitFor('the network can be removed', async () => {
      await manager.docker(['network', 'rm', 'blue']);
      return true;
    });
    for (const host of lab.hosts) await leavesNoTrace(host);
    await waitFor('nothing is left in the store', async () => (await storeKeys(lab)).length === 0);
  });

  test('the short names are refused, and the log says which ones are not', async () => {
    const create = [
      'network',
      'create',
      '--driver',
      'weft',
      '--ipam-driver',
      'weft-ipam',
      '--scope',
      'swarm',
    ];
    expect(await complaint(manager.docker([...create, 'short']))).toContain('legacy plugin');
    const log = await manager.exec(['cat', '/var/log/dockerd.log']);
    expect(log).toContain('needs the full name of the plugin');
  });
});
