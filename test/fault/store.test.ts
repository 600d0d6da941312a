/** The etcd cluster that the hosts share loses a member, its history, all of its data. */
import { cp, rename, rm } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import {
  addressOf,
  bothFabrics,
  complaint,
  createNetwork,
  pings,
  startContainer,
  storeKeys,
  termsOf,
} from '../cluster/cluster.ts';
import { pingSteadily } from '../cluster/steady-ping.ts';
import { testCluster } from '../cluster/test-lab.ts';
import { waitFor } from '../lab/wait.ts';
import { checkWhole } from '../soak/cluster/invariants.ts';
import { announced, inDocker } from './addresses.ts';
import { whileEtcdIsStopped } from './faults.ts';

const patienceMs = 90_000;

const lab = testCluster({
  name: 'store',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
  ],
  members: 3,
  settings: { WEFT_RESYNC_SECONDS: '2' },
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

beforeAll(async () => {
  for (const network of bothFabrics) {
    const { name } = network;
    for (const host of lab.hosts) {
      await createNetwork(host, name, termsOf(network));
      await startContainer(host, name, name);
    }
    await pings(h1, name, await addressOf(h2, name, name));
  }
});

/** Traffic on both networks from now on, until it is asked whether any of it was lost. */
async function pingThroughout(): Promise<{ noneIsLost(): Promise<void> }> {
  const targets = await Promise.all(bothFabrics.map(({ name }) => addressOf(h2, name, name)));
  const pinging = bothFabrics.map(({ name }, index) => pingSteadily(h1, name, targets[index] ?? '', 0.05));
  return {
    async noneIsLost() {
      for (const { sent, lost } of await Promise.all(pinging.map((ping) => ping.end()))) {
        console.log(`${lost.length} of ${sent} pings lost`);
        expect(sent).toBeGreaterThan(20);
        expect(lost).toEqual([]);
      }
    },
  };
}

/** Starts a container on either host, which reach each other, and removes them. */
async function startsAndReaches(): Promise<void> {
  for (const { name } of bothFabrics) {
    await waitFor(
      `a container starts on ${name}`,
      async () => {
        for (const host of lab.hosts) await host.docker(['rm', '--force', 'next']);
        for (const host of lab.hosts) await startContainer(host, name, 'next');
        return true;
      },
      patienceMs,
    );
    await pings(h1, 'next', await addressOf(h2, name, 'next'));
    for (const host of lab.hosts) await host.docker(['rm', '--force', 'next']);
  }
}

test.each(['etcd1', 'etcd2', 'etcd3'])(
  'without member %s, frozen and then killed, all goes on, and no ping is lost',
  async (name) => {
    const member = lab.etcd.member(name);
    const traffic = await pingThroughout();
    await member.freeze();
    await startsAndReaches();
    await member.thaw();
    await member.kill();
    await startsAndReaches();
    await member.start();
    await member.healthy();
    await traffic.noneIsLost();
  },
);

test('when another member comes to lead, all goes on, and no ping is lost', async () => {
  const traffic = await pingThroughout();
  await lab.etcd.moveLeader();
  await startsAndReaches();
  await traffic.noneIsLost();
});

test('a host that was away while the history was compacted knows all that happened, and loses no ping', async () => {
  const traffic = await pingThroughout();
  await lab.cutOff('h1', ['etcd1', 'etcd2', 'etcd3']);
  const gone = await startContainer(h2, 'red', 'meanwhile');
  await h2.docker(['rm', '--force', 'meanwhile']);
  await startContainer(h2, 'blue', 'there');
  const status = JSON.parse(await lab.etcd.ctl(['get', '/weft/v1/config', '--write-out=json']));
  await lab.etcd.ctl(['compact', String(status.header.revision)]);
  await lab.heal('h1');
  const red = await startsWithPatience('red', 'late');
  expect(red).not.toBe('');
  await pings(h1, 'late', await addressOf(h2, 'red', 'red'));
  await pings(h1, 'blue', await addressOf(h2, 'blue', 'there'));
  expect(await announced(lab)).not.toContain(gone);
  await traffic.noneIsLost();
  await h1.docker(['rm', '--force', 'late']);
  await h2.docker(['rm', '--force', 'there']);
});

async function startsWithPatience(network: string, name: string): Promise<string> {
  await waitFor(
    `${name} starts`,
    async () => {
      await h1.docker(['rm', '--force', name]);
      await startContainer(h1, network, name);
      return true;
    },
    patienceMs,
  );
  return addressOf(h1, network, name);
}

test('restored from an old backup, all is told again, no ping is lost, and no address is had twice', async () => {
  const traffic = await pingThroughout();
  await startContainer(h1, 'blue', 'early');
  await whileEtcdIsStopped(lab, (data) => cp(data, `${data}.backup`, { recursive: true }));
  await h1.docker(['rm', '--force', 'early']);
  const late = await startsWithPatience('blue', 'late');
  await whileEtcdIsStopped(lab, async (data) => {
    await rm(data, { recursive: true });
    await rename(`${data}.backup`, data);
  });
  // To the backup it is free.
  await complaint(startContainer(h2, 'blue', 'thief', ['--ip', late]));
  await h2.docker(['rm', '--force', 'thief']);
  await startsAndReaches();
  await traffic.noneIsLost();
  await waitFor('all agrees', async () => checkWhole(lab).then(() => true), patienceMs);
  expect(await addressOf(h1, 'blue', 'late')).toBe(late);
  await h1.docker(['rm', '--force', 'late']);
});

test('with all members wiped, no ping is lost, and the hosts tell the new ones what they hold', async () => {
  const traffic = await pingThroughout();
  const before = await storeKeys(lab);
  const [first] = lab.etcd.members;
  for (const member of lab.etcd.members) await member.kill();
  expect(await complaint(createNetwork(h1, 'green', ['--subnet', '10.79.0.0/24']))).toContain(
    'the store is away',
  );
  for (const member of lab.etcd.members) await rm(member.state, { recursive: true });
  await lab.etcd.start();
  await first?.healthy();
  await waitFor(
    'all is in the store again',
    async () => {
      expect((await storeKeys(lab)).toSorted()).toEqual(before.toSorted());
      expect(await announced(lab)).toEqual(await inDocker(lab));
      return true;
    },
    patienceMs,
  );
  await traffic.noneIsLost();
  await startsAndReaches();
});
