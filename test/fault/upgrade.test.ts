/** The plugin is installed and upgraded from a registry, as its users do, while containers send to each other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import {
  addressOf,
  bothFabrics,
  createNetwork,
  pings,
  pluginName,
  startContainer,
  waitForNetwork,
} from '../cluster/cluster.ts';
import { pingSteadily } from '../cluster/steady-ping.ts';
import { testLab, withAskedDocker } from '../cluster/test-lab.ts';
import type { Host } from '../lab/host.ts';
import { publish, type StoredPlugin } from '../lab/registry.ts';
import { namespaceOf } from '../lab/underlay.ts';

const port = 5_000;
const reference = (tag: number) => `127.0.0.1:${port}/weft/plugin:${tag}`;
const upgraded = withAskedDocker([
  { name: 'h1', docker: '28.5' },
  { name: 'h2', docker: '20.10' },
]);

const lab = testLab({
  name: 'upgrade',
  hosts: [...upgraded, { name: 'other', docker: '26.1' }],
  etcd: { members: 1 },
});
let folder: string;
const registries: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-registry-'));
  const built = await buildPlugin();
  const store = `WEFT_ETCD_ENDPOINTS=${lab.etcd.endpoints}`;
  await lab.host('other').installPlugin(built, pluginName, { WEFT_ETCD_ENDPOINTS: lab.etcd.endpoints });
  const stored = await storedOn(lab.host('other'));
  await publish(stored, folder, '1', (config) => ({ ...config, description: 'the first' }));
  await publish(stored, folder, '2', (config) => ({ ...config, description: 'the next' }));
  for (const { name } of upgraded) {
    await serveOn(name);
    const install = ['install', '--grant-all-permissions', '--alias', pluginName, reference(1), store];
    await lab.host(name).docker(['plugin', ...install], { timeoutMs: 120_000 });
  }
  for (const { name: network, fabric, subnet } of bothFabrics) {
    await createNetwork(lab.host('other'), network, ['--subnet', subnet, '-o', `weft.fabric=${fabric}`]);
    for (const host of lab.hosts) {
      await waitForNetwork(host, network);
      await startContainer(host, network, network);
    }
  }
});

afterAll(async () => {
  for (const registry of registries) registry.kill();
  await rm(folder, { recursive: true });
});

async function storedOn(host: Host): Promise<StoredPlugin> {
  const plugins = host.path('/var/lib/docker/plugins');
  const id = (await readdir(plugins)).find((entry) => /^[0-9a-f]{64}$/.test(entry));
  const { Manifest } = JSON.parse(await readFile(join(plugins, id ?? '', 'config.json'), 'utf8'));
  return { manifest: Manifest, blobs: join(plugins, 'storage/blobs') };
}

/** On the host's loopback. */
async function serveOn(name: string): Promise<void> {
  const program = join(import.meta.dirname, '../lab/registry.ts');
  const inHost = `--net=/run/netns/${namespaceOf(lab.name, name)}`;
  const registry = spawn('nsenter', [inHost, process.execPath, program, folder, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  registries.push(registry);
  if (registry.stdout !== null) await once(registry.stdout, 'data');
}

const description = (host: Host) =>
  host.docker(['plugin', 'inspect', '--format={{.Config.Description}}', pluginName]);

async function upgrade(host: Host): Promise<void> {
  const startedMs = performance.now();
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  const upgrade = ['upgrade', '--grant-all-permissions', '--skip-remote-check', pluginName, reference(2)];
  await host.docker(['plugin', ...upgrade], { timeoutMs: 120_000 });
  await host.docker(['plugin', 'enable', pluginName]);
  console.log(`${host.name}: upgraded in ${Math.round(performance.now() - startedMs)} ms`);
}

describe.each(upgraded)('Docker $docker', ({ name }) => {
  test('no ping is lost in an upgrade, and the new plugin knows the networks', async () => {
    const [host, other] = [lab.host(name), lab.host('other')];
    expect((await description(host)).trim()).toBe('the first');
    const targets = await Promise.all(bothFabrics.map(({ name }) => addressOf(other, name, name)));
    for (const [index, { name }] of bothFabrics.entries()) await pings(host, name, targets[index] ?? '');
    const pinging = bothFabrics.map(({ name }, index) =>
      pingSteadily(host, name, targets[index] ?? '', 0.01),
    );

    await upgrade(host);
    expect((await description(host)).trim()).toBe('the next');
    for (const { name: network } of bothFabrics) {
      await pings(other, network, await startContainer(host, network, `${network}-next`));
      await host.docker(['rm', '--force', `${network}-next`]);
    }

    for (const { sent, lost } of await Promise.all(pinging.map((ping) => ping.end()))) {
      console.log(`${host.name}: ${lost.length} of ${sent} pings lost`);
      expect(sent).toBeGreaterThan(200);
      expect(lost).toEqual([]);
    }
  });
});
