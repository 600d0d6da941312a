/** The command `weft` on hosts with the managed plugin, typed as the README says. */
import { beforeAll, expect, test } from 'vitest';
import { waitFor } from '../lab/wait.ts';
import { createNetwork, pings, startContainer } from './cluster.ts';
import { testCluster } from './test-lab.ts';
import { weft } from './weft-command.ts';

const lab = testCluster({
  name: 'upkeep',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '20.10' },
  ],
  // By itself, weft repairs nothing for as long as this takes.
  settings: { WEFT_RESYNC_SECONDS: '3600' },
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

beforeAll(async () => {
  for (const host of [h1, h2]) {
    await createNetwork(host, 'blue', ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue']);
  }
  const address = await startContainer(h1, 'blue', 'web');
  await startContainer(h2, 'blue', 'data');
  await pings(h2, 'data', address);
});

const keysOf = async (text: string) => {
  const keys = await lab.etcd.ctl(['get', '--prefix', '--keys-only', '/weft/v1/']);
  return keys.split('\n').filter((key) => key.includes(text));
};

test('status tells how the other host is reached, since when and why', async () => {
  await waitFor('h2 is reached directly', async () => {
    const { text } = await weft(h1, 'status');
    return /^host h2 at 10\.9\.1\.2: direct for \d+ s, because /m.test(text);
  });
  const { text } = await weft(h1, 'metrics');
  expect(text).toContain('weft_peer_direct{host="h2"} 1');
});

test('on hosts that work, all agrees', async () => {
  // With its first container, Docker 20.10 puts rules of its own before weft's, which weft sees at its next pass.
  await weft(h2, 'repair');
  expect(await weft(h1, 'check')).toEqual({ code: 0, text: 'on host h1, all agrees' });
  expect(await weft(h2, 'check')).toEqual({ code: 0, text: 'on host h2, all agrees' });
});

test('what others have broken is named, and repaired', async () => {
  const { text } = await weft(h1, 'status --json');
  const { id } = JSON.parse(text);
  const ghost = { v: 1, id: 'ghost', network: 'blue', host: id, mac: '02:00:00:00:00:09', addresses: [] };
  await lab.etcd.ctl(['put', '/weft/v1/endpoints/blue/ghost', JSON.stringify(ghost)]);
  await h1.exec(['nft', 'flush', 'chain', 'inet', 'weft', 'senders']);
  await h1.exec(['iptables', '-F', 'FORWARD']);
  const sentences = [
    'this host has endpoint ghost, for nobody',
    'the packet filter of the host is not as it should be',
    'the FORWARD chain of iptables does not let weft through',
  ];
  expect(await weft(h1, 'check')).toEqual({
    ...{ code: 1, text: [...sentences, 'on host h1, 3 things do not agree'].join('\n') },
  });
  expect(await weft(h1, 'repair')).toEqual({
    code: 0,
    text: [...sentences.map((sentence) => `mended: ${sentence}`), 'on host h1, all agrees'].join('\n'),
  });
  expect((await weft(h1, 'check')).code).toBe(0);
});

test('a host that is gone for good is removed, once it is not heard of', async () => {
  const { id } = JSON.parse((await weft(h2, 'status --json')).text);
  const address = (
    await h2.docker(['inspect', '-f', '{{.NetworkSettings.Networks.blue.IPAddress}}', 'data'])
  ).trim();
  await h2.powerCut();
  expect(await weft(h1, 'host rm h2')).toMatchObject({
    ...{ code: 2, text: expect.stringContaining('host h2 is not gone') },
  });
  // As its lease does after 45 s.
  await lab.etcd.ctl(['del', `/weft/v1/alive/${id}`]);
  expect(await weft(h1, 'host rm h2')).toEqual({
    code: 0,
    text: `host h2 (${id}) is removed, with what was held for it: endpoints 1, networks 1, subnets 1, blocks 1`,
  });
  expect(await keysOf(id)).toEqual([]);
  expect(await weft(h1, 'check')).toEqual({ code: 0, text: 'on host h1, all agrees' });
  expect(await startContainer(h1, 'blue', 'next', ['--ip', address])).toBe(address);
});
