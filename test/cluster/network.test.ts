/** The main job: one network over hosts of all Docker versions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../lab/wait.ts';
import {
  addressOf,
  bothFabrics,
  complaint,
  createNetwork,
  leavesNoTrace,
  pings,
  pingsWhole,
  reachesNot,
  removeNetwork,
  startContainer,
  storeKeys,
  termsOf,
} from './cluster.ts';
import { everyDocker, testCluster } from './test-lab.ts';

const lab = testCluster({ name: 'net', hosts: everyDocker });
const [h1, h2] = [lab.host('h1'), lab.host('h2')];

describe.each(bothFabrics)('a $fabric network', ({ fabric, name, subnet }) => {
  const mtu = fabric === 'vxlan' ? 1450 : 1500;
  const options = termsOf({ fabric, name, subnet });
  const addresses = new Map<string, string>();

  test('is created on each host', async () => {
    for (const host of lab.hosts) await createNetwork(host, name, options);
  });

  test('connects containers of all hosts with each other, with packets of its MTU from the first on', async () => {
    for (const host of lab.hosts) addresses.set(host.name, await startContainer(host, name, `${name}1`));
    expect(new Set(addresses.values()).size).toBe(lab.hosts.length);
    for (const host of lab.hosts) {
      for (const address of addresses.values()) await pingsWhole(host, `${name}1`, address, mtu);
    }
  });

  test('connects two containers of one host', async () => {
    for (const host of lab.hosts) {
      const address = await startContainer(host, name, `${name}2`);
      await pings(host, `${name}1`, address);
      await host.docker(['rm', '--force', `${name}2`]);
    }
  });

  test('says its MTU to the container, and leaves the way out to Docker', async () => {
    const links = await h1.docker(['exec', `${name}1`, 'ip', '-o', 'link']);
    expect(links).toMatch(new RegExp(`eth0.* mtu ${mtu} `));
    expect(links).toContain('eth1');
  });

  test('survives stop and start of a container', async () => {
    for (const host of lab.hosts) {
      await host.docker(['stop', `${name}1`]);
      await host.docker(['start', `${name}1`]);
      const address = await addressOf(host, name, `${name}1`);
      for (const other of lab.hosts) await pings(other, `${name}1`, address);
    }
  });

  test('serves any address of the subnet on request, and each only once', async () => {
    const wished = subnet.replace('0.0/16', '9.9');
    const address = await startContainer(h1, name, `${name}9`, ['--ip', wished]);
    expect(address).toBe(wished);
    await pings(h2, `${name}1`, wished);
    const refusal = await complaint(startContainer(h2, name, `${name}9`, ['--ip', wished]));
    expect(refusal).toContain(`address ${wished} is in use on host h1`);
    await h2.docker(['rm', '--force', `${name}9`]);
    await h1.docker(['rm', '--force', `${name}9`]);
  });

  test('stays apart from other networks', async () => {
    const other = ['--subnet', '10.79.0.0/24', '-o', 'weft.network=other'];
    for (const host of [h1, h2]) await createNetwork(host, 'other', other);
    await startContainer(h1, 'other', 'stranger');
    const own = addresses.get('h1') ?? '';
    const far = await addressOf(h2, name, `${name}1`);
    expect(await reachesNot(h1, 'stranger', own)).toBe(true);
    expect(await reachesNot(h1, 'stranger', far)).toBe(true);
    await h1.docker(['rm', '--force', 'stranger']);
    for (const host of [h1, h2]) await host.docker(['network', 'rm', 'other']);
  });

  test('leaves nothing behind in the kernel or the store', async () => {
    await removeNetwork(lab.hosts, name, [`${name}1`]);
    for (const host of lab.hosts) await leavesNoTrace(host);
    expect(await storeKeys(lab)).toEqual([]);
  });
});

describe('a mistake is answered in one sentence and leaves nothing behind', () => {
  const blue = ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue'];

  beforeAll(async () => {
    for (const host of lab.hosts) await createNetwork(host, 'blue', blue);
  });

  afterAll(async () => {
    for (const host of lab.hosts) await host.docker(['network', 'rm', 'blue']);
  });

  test.each([
    ['an option that does not exist', ['-o', 'weft.fabrik=vxlan'], 'did you mean weft.fabric?'],
    ['a fabric that does not exist', ['-o', 'weft.fabric=ipip'], 'must be routed or vxlan'],
    ['an MTU that does not fit', ['-o', 'weft.mtu=9000'], 'does not fit: the uplink carries 1500 bytes'],
    ['an overlapping subnet', ['--subnet', '10.77.128.0/17'], '10.77.0.0/16'],
    [
      'the subnet of another network',
      ['--subnet', '10.77.0.0/16', '-o', 'weft.network=red'],
      "network blue's",
    ],
    ['the subnet of the hosts', ['--subnet', '10.9.0.0/16'], 'the address of host'],
    [
      'other terms for the same network',
      ['--subnet', '10.77.0.0/16', '-o', 'weft.network=blue', '-o', 'weft.fabric=vxlan'],
      'weft.fabric=routed, not vxlan',
    ],
    ['an unknown IPAM option', ['--ipam-opt', 'weft.netwrok=blue'], 'did you mean weft.network?'],
  ])('%s', async (_, args, sentence) => {
    const before = await storeKeys(lab);
    for (const host of lab.hosts) {
      expect(await complaint(createNetwork(host, 'wrong', args))).toContain(sentence);
    }
    await waitFor('the store is as before', async () => (await storeKeys(lab)).join() === before.join());
  });

  test("another IPAM driver than weft's", async () => {
    const command = h1.docker(['network', 'create', '--driver', 'weft', 'wrong']);
    expect(await complaint(command)).toContain('add --ipam-driver weft-ipam');
  });
});

test('networks without a subnet get one each', async () => {
  const subnets = new Set<string>();
  for (const host of [h1, h2]) {
    for (const name of [`auto-${host.name}-1`, `auto-${host.name}-2`]) {
      await createNetwork(host, name);
      const format = '{{(index .IPAM.Config 0).Subnet}}';
      subnets.add((await host.docker(['network', 'inspect', '--format', format, name])).trim());
    }
  }
  expect(subnets.size).toBe(4);
  for (const subnet of subnets) expect(subnet).toMatch(/^10\.1(6|7|8|9)\d\.\d+\.0\/20$/);
  for (const host of [h1, h2]) {
    await host.docker(['network', 'rm', `auto-${host.name}-1`, `auto-${host.name}-2`]);
  }
});

test('a host joins by the name of the network alone', async () => {
  const named = ['--ipam-opt', 'weft.network=green', '-o', 'weft.network=green'];
  await createNetwork(h1, 'green', ['--subnet', '10.80.0.0/24', '-o', 'weft.network=green']);
  await createNetwork(h2, 'green', named);
  const address = await startContainer(h1, 'green', 'leaf');
  await startContainer(h2, 'green', 'leaf');
  await pings(h2, 'leaf', address);
  await removeNetwork([h1, h2], 'green', ['leaf']);
});
