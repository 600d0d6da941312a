/**
 * How soon weft answers after a restart on a host with many containers in a large cluster, and what it writes to a
 * kernel that is right. In network and other namespaces of its own, with a real etcd.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bundle } from '../../../plugin/bundle.ts';
import { type Block, claimOf } from '../../../src/model/block-record.ts';
import { containerEnd, macOf } from '../../../src/model/names.ts';
import { type Endpoint, type Host, records } from '../../../src/model/records.ts';
import { openEtcdStore } from '../../../src/store/etcd.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import type { Write } from '../../../src/store/store.ts';
import { DockerClient } from '../../contract/docker-client.ts';
import { startEtcd } from '../../contract/etcd-server.ts';
import { projectFolder } from '../../lab/folders.ts';
import { onInterrupt } from '../../lab/interrupt.ts';
import { quantile } from '../statistics.ts';

const number = (value: string) => ({ type: 'string', default: value }) as const;
const { values } = parseArgs({
  options: { here: number('1000'), cluster: number('50000'), hosts: number('1000'), restarts: number('5') },
});
const [here, cluster, hostCount, restarts] = [values.here, values.cluster, values.hosts, values.restarts].map(
  Number,
);
if (here === undefined || cluster === undefined || hostCount === undefined || restarts === undefined) {
  throw new Error('each option is a number');
}

const subnet = '10.77.0.0/16';
const network = '0f'.repeat(32);
const keys = keysBelow('/weft/v1/');
const folder = mkdtempSync(join(tmpdir(), 'weft-restart-'));
const elsewhere = `weft-restart-${process.pid}`;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
const endpointId = (n: number) => `${n.toString(16).padStart(10, '0')}`.padEnd(64, 'e');

ip('link', 'set', 'lo', 'up');
ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire');
ip('address', 'add', '10.9.0.1/16', 'dev', 'eth0');
for (const link of ['eth0', 'wire']) ip('link', 'set', link, 'up');
ip('netns', 'add', elsewhere);
const etcd = await startEtcd(['--quota-backend-bytes=4294967296']);
let weft: ChildProcess | undefined;
onInterrupt(cleanUp);
try {
  await bundle(join(projectFolder, 'src/main.ts'), join(folder, 'dist'));
  weft = startWeft();
  const poolId = await fillHost();
  await fillCluster();
  // All of it is to be in the kernel before anything is measured.
  await pause(20_000);
  const readyMs: number[] = [];
  const written: string[] = [];
  // Writes its compiled code, which the plugin brings along.
  await end(weft, 'SIGTERM');
  for (let restart = 0; restart < restarts; restart += 1) {
    const watching = watchKernel();
    await pause(1_000);
    const beganMs = performance.now();
    weft = startWeft();
    await addressTakenAndReturned(poolId);
    readyMs.push(performance.now() - beganMs);
    // Time for full passes over everything.
    await pause(8_000);
    written.push(...watching.end());
    console.log(
      `restart ${restart + 1}: ready in ${Math.round(readyMs.at(-1) ?? 0)} ms, RSS ${rssOf(weft)} MB`,
    );
    await end(weft, 'SIGKILL');
  }
  console.log(
    `${here} endpoints on the host, ${cluster} in the cluster, ${hostCount} hosts: ready in ${Math.round(quantile(readyMs, 0.5) ?? 0)} ms (median), ${Math.round(quantile(readyMs, 1) ?? 0)} ms (most); ${written.length} writes to the kernel`,
  );
  for (const line of written.slice(0, 10)) console.log(`  ${line}`);
} finally {
  await cleanUp();
}

async function cleanUp(): Promise<void> {
  weft?.kill('SIGKILL');
  await etcd.remove();
  ip('netns', 'delete', elsewhere);
  rmSync(folder, { recursive: true, force: true });
}

/** With Node set up as the plugin has it. */
function startWeft(): ChildProcess {
  const { env: settings }: { readonly env: readonly { readonly name: string; readonly value: string }[] } =
    JSON.parse(readFileSync(join(projectFolder, 'config.json'), 'utf8'));
  const ofNode = settings.filter(({ name }) => !name.startsWith('WEFT_'));
  const env = {
    ...Object.fromEntries(ofNode.map(({ name, value }) => [name, value])),
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
    PATH: process.env.PATH,
    WEFT_ETCD_ENDPOINTS: etcd.endpoint,
    WEFT_RUN_DIR: join(folder, 'run'),
    WEFT_STATE_DIR: join(folder, 'state'),
    WEFT_ADDRESS: '10.9.0.1',
    WEFT_HOSTNAME: 'h1',
    WEFT_RESYNC_SECONDS: '2',
    WEFT_REPLICATE: 'off',
    WEFT_DNS: 'off',
    WEFT_LOG_LEVEL: 'error',
  };
  return spawn(process.execPath, [join(folder, 'dist/weft.js')], { env, stdio: 'inherit' });
}

async function end(process: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(process, 'exit');
  process.kill(signal);
  await ended;
}

/** Calls weft as Docker does, as soon as it listens. @throws with what weft says */
async function call(method: string, body: object): Promise<Record<string, unknown>> {
  for (;;) {
    const docker = new DockerClient(join(folder, 'run/docker/plugins/weft.sock'));
    try {
      const reply = await docker.call(method, body);
      if (reply.status !== 200) throw new Error(`${method}: ${JSON.stringify(reply.body)}`);
      return reply.body;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
      await pause(5);
    } finally {
      docker.close();
    }
  }
}

async function addressTakenAndReturned(poolId: string): Promise<void> {
  const { Address } = await call('IpamDriver.RequestAddress', { PoolID: poolId });
  await call('IpamDriver.ReleaseAddress', { PoolID: poolId, Address: String(Address).replace(/\/.*/, '') });
}

/** Containers of this host, by the calls that make them; answers the pool's id. */
async function fillHost(): Promise<string> {
  const { PoolID } = await call('IpamDriver.RequestPool', { AddressSpace: 'weft-local', Pool: subnet });
  const poolId = String(PoolID);
  await call('NetworkDriver.CreateNetwork', {
    NetworkID: network,
    Options: { 'com.docker.network.generic': { 'weft.encap': 'never' } },
    IPv4Data: [{ AddressSpace: 'weft-local', Pool: subnet }],
  });
  const moves: string[] = [];
  for (let n = 0; n < (here ?? 0); n += 1) {
    const { Address } = await call('IpamDriver.RequestAddress', { PoolID: poolId });
    const endpoint = { NetworkID: network, EndpointID: endpointId(n) };
    await call('NetworkDriver.CreateEndpoint', { ...endpoint, Interface: { Address } });
    await call('NetworkDriver.Join', { ...endpoint, SandboxKey: `/var/run/docker/netns/${n}` });
    moves.push(`link set ${containerEnd(endpointId(n))} netns ${elsewhere}`);
  }
  execFileSync('ip', ['-batch', '-'], { input: moves.join('\n') });
  return poolId;
}

/** The other hosts with their blocks and containers, as each would have written them. */
async function fillCluster(): Promise<void> {
  const store = openEtcdStore({ endpoints: [etcd.endpoint] });
  const others = (hostCount ?? 0) - 1;
  const left = (cluster ?? 0) - (here ?? 0);
  const firstBlock = Math.ceil((here ?? 0) / 60);
  let made = 0;
  for (let index = 0; index < others; index += 1) {
    const count = Math.min(Math.ceil(left / others), left - made);
    await fillOther(index, firstBlock + index, count);
    made += count;
  }
  await store.close();

  async function fillOther(index: number, blockNumber: number, count: number): Promise<void> {
    const id = (index + 2).toString(16).padStart(12, '0');
    const host: Host = {
      ...{ v: 1, id, name: `h${index + 2}`, mtu: 1500 },
      address: `10.9.${1 + (index >> 8)}.${index & 255}`,
    };
    const offsets = Array.from({ length: count }, (_, offset) => offset);
    const at = (offset: number) => `10.77.${blockNumber >> 2}.${(blockNumber & 3) * 64 + offset}`;
    const block: Block = {
      ...{ v: 1, cidr: `${at(0)}/26`, pool: subnet, owner: id, sequence: 1, freed: [] },
      assigned: Object.fromEntries(offsets.map((offset) => [offset, `${id}${offset} 0`])),
    };
    const endpoints = offsets.map(
      (offset): Endpoint => ({
        ...{ v: 1, id: `${id}${String(offset).padStart(4, '0')}`.padEnd(64, '0'), network: subnet, host: id },
        ...{ mac: macOf(at(offset)), addresses: [at(offset)] },
      }),
    );
    const writes: Write[] = [
      { put: keys.host(id), value: records.host.render(host) },
      { put: keys.block(subnet, block.cidr), value: records.block.render(block) },
      { put: keys.claim(subnet, block.cidr), value: records.claim.render(claimOf(block)) },
      ...endpoints.flatMap((endpoint): Write[] => [
        { put: keys.endpoint(subnet, endpoint.id), value: records.endpoint.render(endpoint) },
        {
          put: keys.names(subnet, endpoint.id),
          value: records.names.render({ v: 1, names: [`c${endpoint.id.slice(0, 16)}`], domain: 'blue' }),
        },
      ]),
    ];
    const { outcome } = await store.transact({ conditions: [], writes });
    if (outcome !== 'committed') throw new Error(`filling the store: ${outcome}`);
  }
}

/** What anybody changes of links, addresses, routes, rules and packet filters, line by line. */
function watchKernel(): { end(): string[] } {
  const monitors = [spawn('ip', ['monitor', 'link', 'address', 'route', 'rule']), spawn('nft', ['monitor'])];
  const lines: string[] = [];
  for (const { stdout } of monitors) {
    stdout.on('data', (text) =>
      lines.push(
        ...String(text)
          .split('\n')
          .filter((line) => line !== ''),
      ),
    );
  }
  return {
    end() {
      for (const monitor of monitors) monitor.kill();
      return lines;
    },
  };
}

function rssOf({ pid }: ChildProcess): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
