/**
 * How long `docker network create` takes on one host, and how long after its return the network is there on the
 * others, of each Docker version: made, timed and removed one after the other.
 */
import { parseArgs } from 'node:util';
import { dockerAt } from '../../../src/observe/docker.ts';
import { clusterUp, createNetwork } from '../../cluster/cluster.ts';
import type { Host } from '../../lab/host.ts';
import { quantile } from '../statistics.ts';

const { values } = parseArgs({ options: { networks: { type: 'string', default: '50' } } });

const lab = await clusterUp({
  name: 'replbench',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
    { name: 'h3', docker: '20.10' },
    { name: 'h4', docker: '28.5' },
  ],
  settings: { WEFT_REPLICATE: 'on' },
});
try {
  const [h1, ...others] = lab.hosts;
  if (h1 === undefined) throw new Error('the lab has hosts');
  const times = new Map<string, number[]>(lab.hosts.map(({ name }) => [name, []]));
  for (let made = 0; made < Number(values.networks); made += 1) {
    const leaving = new AbortController();
    const created = await Promise.all(others.map((host) => nextOf('create', host, leaving.signal)));
    const startedMs = performance.now();
    await createNetwork(h1, 'blue');
    const returnedMs = performance.now();
    times.get(h1.name)?.push(returnedMs - startedMs);
    for (const [index, time] of created.entries()) {
      times.get(others[index]?.name ?? '')?.push(Math.max(0, (await time()) - returnedMs));
    }
    const destroyed = await Promise.all(others.map((host) => nextOf('destroy', host, leaving.signal)));
    await h1.docker(['network', 'rm', 'blue']);
    for (const time of destroyed) await time();
    leaving.abort();
  }
  for (const [name, measured] of times) {
    const at = (share: number) => Math.round(quantile(measured, share) ?? Number.NaN);
    const what = name === h1.name ? 'the command itself' : 'after its return';
    console.log(
      `${name}: ${measured.length} networks, ${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`,
    );
  }
} finally {
  await lab.down();
}

/** Listens from now on; the answer tells when the host's Docker did that with a network. */
async function nextOf(action: string, host: Host, signal: AbortSignal): Promise<() => Promise<number>> {
  const events = await dockerAt(host.path('/run/docker.sock')).events(signal);
  const seen = (async () => {
    for await (const event of events) {
      if (event.type === 'network' && event.action === action) return performance.now();
    }
    throw new Error(`Docker on ${host.name} has ended`);
  })();
  return () => seen;
}
