/**
 * A host fails, and comes back: by the power, by its daemon, by its cable. Each host has a container on each
 * network that is to be there always, and goes through all of it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { records } from '../../src/model/records.ts';
import {
  addressOf,
  clusterUp,
  createNetwork,
  leavesNoTrace,
  pings,
  reachesNot,
  startContainer,
  storeKeys,
} from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { waitFor } from '../lab/wait.ts';

const networks = [
  { name: 'blue', fabric: 'routed', subnet: '10.77.0.0/16' },
  { name: 'red', fabric: 'vxlan', subnet: '10.78.0.0/16' },
] as const;

const patienceMs = 90_000;

let lab: Lab;

beforeAll(async () => {
  lab = await clusterUp({
    name: 'reboot',
    hosts: [
      { name: 'h1', docker: '28.5' },
      { name: 'h2', docker: '20.10', daemon: { 'live-restore': true } },
    ],
    settings: { WEFT_RESYNC_SECONDS: '2' },
  });
  for (const { name, fabric, subnet } of networks) {
    for (const host of lab.hosts) {
      await createNetwork(host, name, [
        ...['--subnet', subnet, '-o', `weft.network=${name}`, '-o', `weft.fabric=${fabric}`],
      ]);
      await startContainer(host, name, name, ['--restart', 'always']);
    }
  }
  await reachEachOther();
});

afterAll(() => lab?.down());

async function reachEachOther(): Promise<void> {
  for (const { name } of networks) {
    for (const host of lab.hosts) await waitForContainer(host, name);
    for (const host of lab.hosts) {
      for (const other of lab.hosts) await pings(host, name, await addressOf(other, name, name));
    }
  }
}

async function waitForContainer(host: Host, name: string): Promise<void> {
  await waitFor(
    `${name} runs on ${host.name}`,
    async () => (await addressOf(host, name, name)) !== '',
    patienceMs,
  );
}

/** Addresses of all containers, as Docker has them. */
async function inDocker(): Promise<string[]> {
  const addresses = await Promise.all(
    lab.hosts.flatMap((host) => networks.map(({ name }) => addressOf(host, name, name))),
  );
  return addresses.toSorted();
}

/** The store holds those addresses and no others; each once. */
async function storeAgreesWithDocker(): Promise<void> {
  const expected = await inDocker();
  expect(new Set(expected).size).toBe(expected.length);
  await waitFor(
    'the store holds what Docker has, and no more',
    async () => {
      expect(await announced()).toEqual(expected);
      expect(await assignedCount()).toBe(expected.length);
      return true;
    },
    patienceMs,
  );
}

async function announced(): Promise<string[]> {
  const endpoints = (await valuesBelow('endpoints/')).map(records.endpoint.parse);
  return endpoints.flatMap(({ addresses }) => addresses).toSorted();
}

async function assignedCount(): Promise<number> {
  const blocks = (await valuesBelow('blocks/')).map(records.block.parse);
  return blocks.flatMap(({ assigned }) => Object.keys(assigned)).length;
}

async function valuesBelow(folder: string): Promise<string[]> {
  const output = await lab.etcd.ctl(['get', '--prefix', '--print-value-only', `/weft/v1/${folder}`]);
  return output.split('\n').filter((line) => line !== '');
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

test('nothing of weft is left when all is removed', async () => {
  for (const host of lab.hosts) {
    for (const { name } of networks) {
      await host.docker(['rm', '--force', name]);
      await host.docker(['network', 'rm', name]);
    }
  }
  for (const host of lab.hosts) await leavesNoTrace(host);
  await waitFor('the store is empty', async () => (await storeKeys(lab)).length === 0, patienceMs);
});
