/** The managed plugin, as its users install, replace and remove it, on every version of Docker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { dockerVersions } from '../lab/rootfs.ts';
import {
  addressOf,
  complaint,
  createNetwork,
  leavesNoTrace,
  pings,
  pluginName,
  startContainer,
} from './cluster.ts';

const blue = ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue'];

let lab: Lab;
let folder: string;

beforeAll(async () => {
  folder = await buildPlugin();
  lab = await Lab.up({
    name: 'plugin',
    hosts: dockerVersions.map((docker, index) => ({
      ...{ name: `h${index + 1}`, docker },
      // Seen as it is, not copied: as a user has it.
      shared: [folder],
    })),
    etcd: { members: 1 },
  });
});

afterAll(() => lab?.down());

async function create(host: Host): Promise<void> {
  await host.docker(['plugin', 'create', pluginName, folder], { timeoutMs: 240_000 });
  const settings = [
    `WEFT_ETCD_ENDPOINTS=${lab.etcd.endpoints}`,
    'WEFT_RESYNC_SECONDS=3',
    'WEFT_REPLICATE=off',
  ];
  await host.docker(['plugin', 'set', pluginName, ...settings]);
}

async function enable(host: Host): Promise<number> {
  const startedMs = performance.now();
  await host.docker(['plugin', 'enable', pluginName]);
  return Math.round(performance.now() - startedMs);
}

describe.each(dockerVersions.map((docker, index) => ({ docker, name: `h${index + 1}` })))(
  'Docker $docker',
  ({ docker, name }) => {
    test('takes the folder that the build leaves, and enables it', async () => {
      const host = lab.host(name);
      await create(host);
      console.log(`Docker ${docker}: the plugin was enabled in ${await enable(host)} ms`);
      expect(await host.docker(['plugin', 'ls', '--format={{.Name}} {{.Enabled}}'])).toBe(
        `${pluginName}:latest true`,
      );
    });

    test('finds both drivers', async () => {
      const host = lab.host(name);
      await createNetwork(host, 'blue', blue);
      await startContainer(host, 'blue', 'web');
      const format = '{{.Driver}} {{.IPAM.Driver}}';
      expect(await host.docker(['network', 'inspect', `--format=${format}`, 'blue'])).toBe('weft weft-ipam');
    });
  },
);

async function allReachAll(): Promise<void> {
  for (const host of lab.hosts) {
    for (const other of lab.hosts) await pings(host, 'web', await addressOf(other, 'blue', 'web'));
  }
}

test('hosts of all versions reach each other', allReachAll);

test('disabled and enabled, it knows its networks; traffic flows meanwhile', async () => {
  await Promise.all(lab.hosts.map((host) => host.docker(['plugin', 'disable', '--force', pluginName])));
  await allReachAll();
  await Promise.all(lab.hosts.map(enable));
  await allReachAll();
  for (const host of lab.hosts) {
    await pings(host, 'web', await startContainer(host, 'blue', 'next'));
    await host.docker(['rm', '--force', 'next']);
  }
});

test('removed and created anew, it says that it has lost its networks, and how to go on', async () => {
  const [host] = lab.hosts;
  if (host === undefined) throw new Error('the lab has hosts');
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  await host.docker(['plugin', 'rm', pluginName]);
  await allReachAll();

  await create(host);
  await enable(host);
  await host.docker(['rm', '--force', 'web']);
  expect(await complaint(startContainer(host, 'blue', 'web'))).toContain(
    'remove it with docker network rm and create it again',
  );
  await host.docker(['rm', '--force', 'web']);
  await host.docker(['network', 'rm', 'blue']);
  await createNetwork(host, 'blue', blue);
  await startContainer(host, 'blue', 'web');
  await allReachAll();
});

test('removed after its networks, it leaves nothing on the host', async () => {
  for (const host of lab.hosts) {
    await host.docker(['rm', '--force', 'web']);
    await host.docker(['network', 'rm', 'blue']);
    await leavesNoTrace(host);
    await host.docker(['plugin', 'disable', pluginName]);
    await host.docker(['plugin', 'rm', pluginName]);
    const left = 'find /run/docker/plugins /var/lib/weft -mindepth 1 2>/dev/null; true';
    expect(await host.exec(['sh', '-c', left])).toBe('');
  }
});
