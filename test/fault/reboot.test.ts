/**
 * A host fails, and comes back: by the power, by its daemon, by its cable. Each host has a container on each
 * network that is to be there always, and goes through all of it. Those of h1 are to have an address of their own.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { containerEndGroup } from '../../src/kernel/mark.ts';
import {
  addressOf,
  bothFabrics,
  complaint,
  createNetwork,
  nothingIsLeft,
  pings,
  pluginName,
  reachesNot,
  removeNetwork,
  startContainer,
  termsOf,
} from '../cluster/cluster.ts';
import { allReachAll } from '../cluster/reach.ts';
import { testCluster } from '../cluster/test-lab.ts';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { announced, assignedCount, inDocker } from './addresses.ts';

const patienceMs = 90_000;

const lab = testCluster({
  name: 'reboot',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '20.10', daemon: { 'live-restore': true } },
  ],
  settings: { WEFT_RESYNC_SECONDS: '2' },
});

beforeAll(async () => {
  for (const network of bothFabrics) {
    for (const host of lab.hosts) {
      await createNetwork(host, network.name, termsOf(network));
      const wish = host.name === 'h1' ? ['--ip', network.subnet.replace('0.0/16', '3.3')] : [];
      await startContainer(host, network.name, network.name, ['--restart', 'always', ...wish]);
    }
  }
  await reachEachOther();
});

async function reachEachOther(): Promise<void> {
  for (const { name } of bothFabrics) {
    for (const host of lab.hosts) await waitForContainer(host, name);
    await allReachAll(lab.hosts, name, name);
  }
}

async function waitForContainer(host: Host, name: string): Promise<void> {
  await waitFor(
    `${name} runs on ${host.name}`,
    async () => (await addressOf(host, name, name)) !== '',
    patienceMs,
  );
}

/** The store holds those addresses and no others; each once. */
async function storeAgreesWithDocker(): Promise<void> {
  const expected = await inDocker(lab);
  expect(new Set(expected).size).toBe(expected.length);
  await waitFor(
    'the store holds what Docker has, and no more',
    async () => {
      expect(await announced(lab)).toEqual(expected);
      expect(await assignedCount(lab)).toBe(expected.length);
      return true;
    },
    patienceMs,
  );
}

describe.each(['h1', 'h2'])('after a power cut of %s', (name) => {
  test('its containers are back, reach all and are reached; nothing is leaked', async () => {
    const host = lab.host(name);
    await host.powerCut();
    await host.boot();
    await reachEachOther();
    await storeAgreesWithDocker();
  });
});

describe.each(['h1', 'h2'])('after a crash of the Docker daemon of %s', (name) => {
  test('its containers are there, reach all and are reached; nothing is leaked', async () => {
    const host = lab.host(name);
    await host.killDockerd();
    await host.startDockerd();
    await reachEachOther();
    await storeAgreesWithDocker();
  });
});

test('a container that dies while its daemon is down, with live-restore, is back with its address', async () => {
  const [h1, h2] = [lab.host('h1'), lab.host('h2')];
  const [{ name: network, subnet }] = bothFabrics;
  const address = subnet.replace('0.0/16', '3.4');
  await startContainer(h2, network, 'mortal', ['--restart', 'always', '--ip', address]);
  const processOf = async () => (await h2.docker(['inspect', '--format', '{{.State.Pid}}', 'mortal'])).trim();
  const pid = await processOf();
  await h2.killDockerd();
  await h2.exec(['kill', '-KILL', pid]);
  await h2.startDockerd();
  await waitFor('it runs again', async () => !['0', pid].includes(await processOf()), patienceMs);
  await pings(h1, network, address);
  expect(await addressOf(h2, network, 'mortal')).toBe(address);
  await h2.docker(['rm', '--force', 'mortal']);
  await storeAgreesWithDocker();
});

/**
 * Kills the daemon as soon as the kernel shows so much of what it is doing; more often, should it have been done already.
 * @param sign prints something from then on, and nothing any more when it is done
 */
async function killDockerdWhile(
  host: Host,
  of: { readonly begin: () => Promise<unknown>; readonly sign: string; readonly undo: readonly string[] },
): Promise<void> {
  const dockerd = await host.dockerdProcess();
  for (;;) {
    const doing = of.begin().catch(() => undefined);
    // To kill it from here would be too late.
    const freeze = `for look in $(seq 1000); do [ -z "$(${of.sign})" ] || break; done; kill -STOP ${dockerd.pid}`;
    await host.exec(['sh', '-c', freeze]);
    if ((await host.exec(['sh', '-c', of.sign])) !== '') break;
    await dockerd.signal('CONT');
    await doing;
    await host.docker(of.undo);
  }
  await host.killDockerd();
  await host.startDockerd();
}

test('a daemon that dies while it makes a network or starts a container leaves nothing of that for long', async () => {
  const [{ name: network }] = bothFabrics;
  const untaken = `ip -oneline link show group ${containerEndGroup}`;
  await Promise.all(
    lab.hosts.map(async (host) => {
      const options = ['weft.fabric=vxlan', 'weft.replicate=off', `weft.network=doomed-${host.name}`];
      const doomed = options.flatMap((option) => ['-o', option]);
      const spaces = (await host.exec(['ls', '/run/netns'])).trim().split(/\s+/).join('|');
      await killDockerdWhile(host, {
        begin: () => createNetwork(host, 'doomed', doomed),
        sign: `ls /run/netns | grep -vwE '${spaces}' | grep weft- || true`,
        undo: ['network', 'rm', 'doomed'],
      });
      await killDockerdWhile(host, {
        begin: () => startContainer(host, network, 'doomed'),
        sign: untaken,
        undo: ['rm', '--force', 'doomed'],
      });
      await host.docker(['rm', '--force', 'doomed']).catch(() => undefined);
    }),
  );
  await reachEachOther();
  await storeAgreesWithDocker();
  for (const host of lab.hosts) expect(await host.exec(['sh', '-c', untaken])).toBe('');
  await waitFor(
    'nothing is left of the network',
    async () => (await lab.etcd.ctl(['get', '--prefix', '/weft/v1/networks/doomed'])) === '',
    patienceMs,
  );
});

describe('a host cut off from all others', () => {
  test('keeps its containers, starts more, and agrees with the others when it is back', async () => {
    const h1 = lab.host('h1');
    const local = await startContainer(h1, 'blue', 'neighbour');
    const far = await addressOf(lab.host('h2'), 'blue', 'blue');
    await lab.cutOff('h1');
    try {
      expect(await reachesNot(h1, 'blue', far)).toBe(true);
      const late = await startContainer(h1, 'red', 'late');
      await pings(h1, 'red', late);
      await pings(h1, 'blue', local);
      await h1.docker(['rm', '--force', 'neighbour', 'late']);
      await startContainer(lab.host('h2'), 'red', 'meanwhile');
    } finally {
      await lab.heal('h1');
    }
    const meanwhile = await addressOf(lab.host('h2'), 'red', 'meanwhile');
    await waitFor(
      'h1 reaches what was started meanwhile',
      async () => {
        await h1.docker(['exec', 'red', 'ping', '-c', '1', '-W', '1', meanwhile]);
        return true;
      },
      patienceMs,
    );
    await lab.host('h2').docker(['rm', '--force', 'meanwhile']);
    await reachEachOther();
    await storeAgreesWithDocker();
  });
});

test('a copy of a machine, with its id, is refused and named, and harms neither', async () => {
  const [h1, h2] = [lab.host('h1'), lab.host('h2')];
  const own = await idOf(h2);
  await withId(h2, await idOf(h1));
  try {
    const refusal = await complaint(startContainer(h2, 'blue', 'late'));
    expect(refusal).toContain(`of host h1 at ${h1.address}`);
    await h2.docker(['rm', '--force', 'late']);
    await pings(h2, 'blue', await addressOf(h1, 'blue', 'blue'));
  } finally {
    await withId(h2, own);
  }
  await reachEachOther();
  await storeAgreesWithDocker();
});

async function idFile(host: Host): Promise<string> {
  const plugin = (await host.docker(['plugin', 'inspect', '--format', '{{.ID}}', pluginName])).trim();
  return host.path(`/var/lib/docker/plugins/${plugin}/propagated-mount/host-id`);
}

async function idOf(host: Host): Promise<string> {
  return readFile(await idFile(host), 'utf8');
}

/** Starts weft anew as the host of this id. */
async function withId(host: Host, id: string): Promise<void> {
  await host.docker(['plugin', 'disable', '--force', pluginName]);
  await writeFile(await idFile(host), id);
  await host.docker(['plugin', 'enable', pluginName]);
}

test('nothing of weft is left when all is removed', async () => {
  for (const { name } of bothFabrics) await removeNetwork(lab.hosts, name, [name]);
  await nothingIsLeft(lab, patienceMs);
});
