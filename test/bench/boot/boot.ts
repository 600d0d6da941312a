/**
 * `npm run bench:boot`: how long the Docker daemon takes to come back, with networks of weft and without, and with etcd
 * down; and that the plugin is enabled and the containers run each time.
 */
import { parseArgs } from 'node:util';
import { clusterUp, createNetwork, pluginName, startContainer } from '../../cluster/cluster.ts';
import type { Host } from '../../lab/host.ts';
import type { Lab } from '../../lab/lab.ts';
import { waitFor } from '../../lab/wait.ts';
import { inSeconds, spread } from '../heal/report.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const rounds = Number(values.rounds);

const networks = Array.from({ length: 20 }, (_, index) => ({
  name: `net${index}`,
  terms: ['--subnet', `10.60.${index}.0/24`, '-o', `weft.fabric=${index % 2 === 0 ? 'routed' : 'vxlan'}`],
}));

interface Times {
  readonly answersMs: number;
  readonly allRunMs: number;
}

/** A daemon that is stopped and started. @param containers that are to run by themselves */
async function restart(host: Host, containers: number): Promise<Times> {
  await host.stopDockerd();
  const startMs = performance.now();
  await host.startDockerd();
  const answersMs = performance.now() - startMs;
  await waitFor(
    `${containers} containers run`,
    async () => (await host.docker(['ps', '--quiet'])).split('\n').filter(Boolean).length === containers,
    120_000,
  );
  const allRunMs = performance.now() - startMs;
  const enabled = await host.docker(['plugin', 'inspect', '--format={{.Enabled}}', pluginName]);
  if (enabled.trim() !== 'true') throw new Error('the plugin is not enabled');
  return { answersMs, allRunMs };
}

async function withoutEtcd({ etcd }: Lab, run: () => Promise<Times>): Promise<Times> {
  await Promise.all(etcd.members.map((member) => member.kill()));
  const times = await run();
  await etcd.start();
  await etcd.healthy();
  return times;
}

/** With etcd, and without, in turns. */
async function tell(lab: Lab, host: Host, what: string, containers: number): Promise<void> {
  const [up, down]: [Times[], Times[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    up.push(await restart(host, containers));
    down.push(await withoutEtcd(lab, () => restart(host, containers)));
  }
  for (const [state, times] of Object.entries({ 'etcd up': up, 'etcd down': down })) {
    const of = (pick: (one: Times) => number) => spread(times.map(pick), inSeconds);
    const running = containers === 0 ? '' : `, all containers run after ${of(({ allRunMs }) => allRunMs)}`;
    console.log(`${what}, ${state}: dockerd answers after ${of(({ answersMs }) => answersMs)}${running}`);
  }
}

const lab = await clusterUp({ name: 'boot', hosts: [{ name: 'h1', docker: '28.5' }] });
try {
  const host = lab.host('h1');
  console.log(`median / worst of ${rounds}`);
  await tell(lab, host, 'no network', 0);
  for (const { name, terms } of networks) await createNetwork(host, name, terms);
  await tell(lab, host, `${networks.length} networks`, 0);
  for (const { name } of networks) await startContainer(host, name, name, ['--restart', 'always']);
  await tell(lab, host, `${networks.length} networks with a container each`, networks.length);
} finally {
  await lab.down();
}
