/** The managed plugin, as its users install, replace and remove it, on every version of Docker. */
import { beforeAll, describe, expect, test } from 'vitest';
import { buildPlugin, pluginFolder } from '../../plugin/build.ts';
import type { Host } from '../lab/host.ts';
import { complaint, createNetwork, leavesNoTrace, pings, pluginName, startContainer } from './cluster.ts';
import { allReachAll } from './reach.ts';
import { everyDocker, testLab } from './test-lab.ts';

const blue = ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue'];

beforeAll(() => buildPlugin());
// Seen as it is, not copied: as a user has it.
const hosts = everyDocker.map((host) => ({ ...host, shared: [pluginFolder] }));
const lab = testLab({ name: 'plugin', hosts, etcd: { members: 1 } });

async function create(host: Host): Promise<void> {
  await host.docker(['plugin', 'create', pluginName, pluginFolder], { timeoutMs: 240_000 });
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

describe.each(everyDocker)('Docker $docker', ({ docker, name }) => {
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
});

const allReach = () => allReachAll(lab.hosts, 'blue', 'web');

test('hosts of all versions reach each other', allReach);

test('disabled and enabled, it knows its networks; traffic flows meanwhile', async () => {
  await Promise.all(lab.hosts.map((host) => host.docker(['plugin', 'disable', '--force', pluginName])));
  await allReach();
  await Promise.all(lab.hosts.map(enable));
  await allReach();
  for (const host of lab.hosts) {
    await pings(host, 'web', await startContainer(host, 'blue', 'next'));
    await host.docker(['rm', '--force', 'next']);
  }
});

test('removed and created anew, it says that it has lost its networks, and how to go on', async () => {
  const host = lab.host('h1');
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  await host.docker(['plugin', 'rm', pluginName]);
  await allReach();

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
  await allReach();
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
