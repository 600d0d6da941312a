/**
 * The first hour of a user: the script that sets up hosts, and then what the documents say is to be typed. The hosts of
 * a lab have no systemd, and no way to a package archive: so Docker runs there before, and etcd is installed. All else the
 * script does as anywhere.
 */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import { projectFolder } from '../lab/folders.ts';
import type { Host } from '../lab/host.ts';
import { Lab } from '../lab/lab.ts';
import { rootfsPath, toolbox } from '../lab/rootfs.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import { complaint, networksOf, pluginName, sweep } from './cluster.ts';
import { withAskedDocker } from './test-lab.ts';
import { elsewhere, enter, headings, readme, transcript } from './transcript.ts';

const shared = [projectFolder];
const lab = new Lab({
  name: 'first-hour',
  hosts: [
    // The only one that has etcd installed.
    { name: 'h1', docker: toolbox, shared },
    ...withAskedDocker([{ name: 'h2', docker: '20.10', shared }]),
  ],
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

beforeAll(async () => {
  await buildPlugin();
  await lab.up();
  for (const host of lab.hosts) {
    await nameImages(host);
    await takeCompose(host);
    await setUp(host, h1.address);
  }
});

afterEach(async () => {
  await sweep(lab.hosts);
  await waitFor('no host remembers a network', async () => {
    return (await h1.exec(['etcdctl', 'get', '--prefix', '--keys-only', '/weft/v1/recipes/'])) === '';
  });
});

afterAll(() => lab.down());

function setUp(host: Host, ...args: readonly string[]): Promise<string> {
  const script = join(projectFolder, 'plugin/setup-host.sh');
  return host.exec(['bash', script, ...args], { timeoutMs: 240_000 });
}

/** Debian 12 has Compose 1, a program of its own. */
const composeOn = (host: Host) => (host.isAtLeast('26.1') ? 'docker compose' : 'docker-compose');

/** A root with Docker 28.5 has no Compose: such a host takes that of another. */
async function takeCompose(host: Host): Promise<void> {
  if (!host.isAtLeast('28.5')) return;
  const program = '/usr/libexec/docker/cli-plugins/docker-compose';
  await copyFile(join(rootfsPath(toolbox), program), host.path(program));
}

/** There is no registry: what the documents run is the tools image under other names. */
async function nameImages(host: Host): Promise<void> {
  const web = 'echo hello > /tmp/index.html; exec busybox httpd -f -h /tmp -p 80';
  await host.docker(['tag', toolsImage, 'alpine']);
  await host.docker(['create', '--name', 'web', toolsImage]);
  await host.docker(['commit', '--change', `CMD ${JSON.stringify(['sh', '-c', web])}`, 'web', 'nginx']);
  await host.docker(['rm', 'web']);
}

/** Types what stands below the heading. Somebody who types is slower than news from the other host. */
async function follow(document: typeof readme, heading: string, folder?: string): Promise<void> {
  for (const { host, command } of transcript(document, heading)) {
    await sameNetworks();
    const line = { host, command: command.replace('docker compose', composeOn(lab.host(host))) };
    const isQuestion = / (ping|wget) /.test(command);
    if (!isQuestion) await enter(lab, line, folder);
    else await waitFor(`${host}# ${command}`, async () => (await enter(lab, line, folder)) !== '');
  }
}

async function sameNetworks(): Promise<void> {
  await waitFor('both hosts have the same networks', async () => {
    return (await networksOf(h1)).join() === (await networksOf(h2)).join();
  });
}

test('the quick start', () => follow(readme, 'Quick start on two hosts'));

test.each(headings(elsewhere))('%s', (heading) => follow(elsewhere, heading));

test('one file of Compose, brought up on two hosts, is one network', async () => {
  const [, file = ''] = /```yaml\n(.*?)```/s.exec(readme.get('With Compose') ?? '') ?? [];
  const folder = '/root/shop';
  for (const host of lab.hosts) {
    await host.exec(['mkdir', folder]);
    await writeFile(host.path(join(folder, 'compose.yaml')), file);
  }
  const compose = (host: Host, args: string) =>
    enter(lab, { host: host.name, command: `${composeOn(host)} ${args}` }, folder);

  await follow(readme, 'With Compose', folder);
  for (const host of lab.hosts) await compose(host, 'down --timeout 0');
  await sameNetworks();
  const up = async (host: Host, service: string) => {
    const args = `up -d ${service}`;
    // Compose may ask for the network just when it has come from the other host.
    await compose(host, args).catch(() => compose(host, args));
  };
  await Promise.all([up(h1, 'web'), up(h2, 'shop')]);
  await waitFor('shop finds web', async () => (await compose(h2, 'exec -T shop ping -c 1 web')) !== '');
});

test('the script says what is missing, and changes settings of a host that is set up', async () => {
  expect(await complaint(setUp(h2, '10.9.1.77'))).toContain('no etcd answers at 10.9.1.77');
  await setUp(h2, h1.address, 'WEFT_HOSTNAME=second');
  const format = '{{.Enabled}} {{.Settings.Env}}';
  const state = await h2.docker(['plugin', 'inspect', '--format', format, pluginName]);
  expect(state).toMatch(/^true .*WEFT_HOSTNAME=second/);
});
