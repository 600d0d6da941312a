/** A host on its own: no etcd but the one that weft brings along. */
import { beforeAll, describe, expect, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import { waitFor } from '../lab/wait.ts';
import {
  addressOf,
  bothFabrics,
  createNetwork,
  leavesNoTrace,
  pings,
  pluginName,
  removeNetwork,
  startContainer,
} from './cluster.ts';
import { testLab } from './test-lab.ts';
import { pidsOf, weftPids } from './weft-process.ts';

const lab = testLab({ name: 'lone', hosts: [{ name: 'h1', docker: '28.5' }] });
const host = lab.host('h1');

beforeAll(async () => {
  await host.installPlugin(await buildPlugin(), pluginName, { WEFT_RESYNC_SECONDS: '3' });
});

const etcdPids = () => pidsOf(host, 'etcd --name=weft');

describe.each(bothFabrics)('a $fabric network', ({ name, fabric }) => {
  test('is created without any setting, and connects two containers', async () => {
    await createNetwork(host, name, ['-o', `weft.fabric=${fabric}`]);
    const address = await startContainer(host, name, `${name}1`, ['--restart', 'always']);
    await startContainer(host, name, `${name}2`, ['--restart', 'always']);
    await pings(host, `${name}2`, address);
  });
});

/** Old containers reach each other, and one that is started now. */
async function allWork(): Promise<void> {
  for (const { name } of bothFabrics) {
    await waitFor(`${name}1 runs`, async () => (await addressOf(host, name, `${name}1`)) !== '', 60_000);
    await pings(host, `${name}2`, await addressOf(host, name, `${name}1`));
    await pings(host, `${name}2`, await startContainer(host, name, 'next'));
    await host.docker(['rm', '--force', 'next']);
  }
}

test('networks and traffic outlive the plugin’s being disabled and enabled', async () => {
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  expect([...(await weftPids(host)), ...(await etcdPids())]).toEqual([]);
  for (const { name } of bothFabrics) {
    await pings(host, `${name}2`, await addressOf(host, name, `${name}1`));
  }
  await host.docker(['plugin', 'enable', pluginName]);
  await allWork();
});

/** Kills the one process, and waits until another one has taken its place. */
async function killOne(pids: () => Promise<string[]>): Promise<void> {
  let before: string[] = [];
  // What the process starts bears its name for a moment.
  await waitFor('the one process', async () => {
    before = await pids();
    return before.length === 1;
  });
  await host.exec(['kill', '-9', ...before]);
  await waitFor('its successor', async () => {
    const now = await pids();
    return now.length === 1 && now[0] !== before[0];
  });
}

test('weft killed takes its etcd along, and is back with one', async () => {
  const etcd = await etcdPids();
  await killOne(() => weftPids(host));
  await waitFor('one etcd, another one', async () => {
    const now = await etcdPids();
    return now.length === 1 && now[0] !== etcd[0];
  });
  await allWork();
  expect(await etcdPids()).toHaveLength(1);
});

test('etcd killed is started again', async () => {
  await killOne(etcdPids);
  await allWork();
});

test('networks and containers are back after a power cut', async () => {
  await host.powerCut();
  await host.boot();
  await allWork();
});

test('nothing of weft is left when all is removed', async () => {
  for (const { name } of bothFabrics) await removeNetwork([host], name, [`${name}1`, `${name}2`]);
  await leavesNoTrace(host);
});
