/** IPv6 beside IPv4, and alone, over hosts of all Docker versions. */
import { describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import {
  addressesOf,
  complaint,
  createNetwork,
  nothingIsLeft,
  pings,
  reachesNot,
  removeNetwork,
  startContainer,
  storeKeys,
} from './cluster.ts';
import { allReachAll, pingsAll } from './reach.ts';
import { everyDocker, testCluster } from './test-lab.ts';

/** The first Docker that makes networks without IPv4 is 27: two have it. */
const hosts = [...everyDocker, { name: 'h4', docker: '28.5' }] as const;

const fabrics = [
  { fabric: 'routed', name: 'blue', mtu: { IPv4: 1500, IPv6: 1500 } },
  { fabric: 'vxlan', name: 'red', mtu: { IPv4: 1450, IPv6: 1430 } },
] as const;

describe.each([
  { underlay: 'IPv4', labName: 'dual4' },
  { underlay: 'IPv6', labName: 'dual6' },
] as const)('over an $underlay underlay', ({ underlay, labName }) => {
  const lab = testCluster({ name: labName, hosts, underlay });
  const known = (name: string): Host => lab.host(name);

  describe.each(fabrics)('a $fabric network', ({ fabric, name, mtu }) => {
    const options = ['-o', `weft.fabric=${fabric}`, '-o', `weft.network=${name}`];

    test('of both families connects all containers, by all their addresses', async () => {
      const subnets = ['--ipv6', '--subnet', '10.77.0.0/16', '--subnet', 'fd77::/64'];
      for (const host of lab.hosts) await createNetwork(host, name, [...subnets, ...options]);
      for (const host of lab.hosts) {
        await startContainer(host, name, `${name}1`);
        await startContainer(host, name, `${name}2`);
        const addresses = await addressesOf(host, name, `${name}1`);
        expect(addresses).toEqual([expect.stringMatching(/^10\.77\./), expect.stringMatching(/^fd77::/)]);
        await pingsAll(host, `${name}1`, await addressesOf(host, name, `${name}2`));
      }
      await allReachAll(lab.hosts, name, `${name}1`);
    });

    test('carries large IPv6 packets up to its MTU', async () => {
      const [, far = ''] = await addressesOf(known('h3'), name, `${name}1`);
      const size = String(mtu[underlay] - 48);
      await known('h1').docker(['exec', `${name}1`, 'ping', '-c', '1', '-s', size, far]);
    });

    test('survives stop and start of a container', async () => {
      await known('h1').docker(['restart', `${name}1`]);
      await allReachAll(lab.hosts, name, `${name}1`);
    });

    test('serves any IPv6 address of the subnet on request, and each only once', async () => {
      const wished = ['--ip6', 'fd77::9:9'];
      await startContainer(known('h2'), name, `${name}9`, wished);
      await pings(known('h4'), `${name}1`, 'fd77::9:9');
      const refusal = await complaint(startContainer(known('h3'), name, `${name}9`, wished));
      expect(refusal).toContain('address fd77::9:9 is in use on host h2');
      for (const host of ['h2', 'h3']) await known(host).docker(['rm', '--force', `${name}9`]);
    });

    test('stays apart from other networks', async () => {
      const other = ['--ipv6', '--subnet', '10.79.0.0/24', '--subnet', 'fd79::/64'];
      for (const host of lab.hosts.slice(0, 2)) await createNetwork(host, 'other', other);
      await startContainer(known('h1'), 'other', 'stranger');
      for (const host of lab.hosts.slice(0, 2)) {
        const [, address = ''] = await addressesOf(host, name, `${name}1`);
        expect(await reachesNot(known('h1'), 'stranger', address)).toBe(true);
      }
      await known('h1').docker(['rm', '--force', 'stranger']);
      for (const host of lab.hosts.slice(0, 2)) await host.docker(['network', 'rm', 'other']);
    });

    test('leaves nothing behind', async () => {
      await removeNetwork(lab.hosts, name, [`${name}1`, `${name}2`]);
      await nothingIsLeft(lab);
    });

    test('of IPv6 alone connects containers, where Docker has that', async ({ skip }) => {
      const members = lab.hosts.filter((host) => host.isAtLeast('28.5'));
      skip(members.length === 0, 'Docker makes networks without IPv4 from 27 on');
      const only = ['--ipv6', '--ipv4=false', '--subnet', 'fd78::/64', ...options];
      for (const host of members) {
        await createNetwork(host, name, only);
        await startContainer(host, name, `${name}6`);
        expect(await addressesOf(host, name, `${name}6`)).toEqual([expect.stringMatching(/^fd78::/)]);
      }
      await allReachAll(members, name, `${name}6`);
      for (const older of lab.hosts.filter((host) => !members.includes(host))) {
        const refused = createNetwork(older, name, ['--ipv6', '--subnet', 'fd78::/64', ...options]);
        const advice = 'create it here with --ipv6 --ipv4=false --subnet fd78::/64';
        expect(await complaint(refused)).toContain(advice);
      }
      await removeNetwork(members, name, [`${name}6`]);
      await nothingIsLeft(lab);
    });

    test('gets subnets of both families from weft, the same ones wherever its name is', async () => {
      const automatic = ['--ipv6', '--ipam-opt', `weft.network=${name}`, ...options];
      for (const host of lab.hosts) {
        await createNetwork(host, name, automatic);
        await startContainer(host, name, `${name}1`);
        const [, address = ''] = await addressesOf(host, name, `${name}1`);
        expect(address).toMatch(/^fd[0-9a-f]{2}:/);
      }
      await allReachAll(lab.hosts, name, `${name}1`);
      await removeNetwork(lab.hosts, name, [`${name}1`]);
      await nothingIsLeft(lab);
    });
  });

  test('a host without IPv6 is told so, and what to do', async () => {
    const disable = (value: 0 | 1) =>
      known('h2').exec(['sysctl', '-w', `net.ipv6.conf.default.disable_ipv6=${value}`]);
    await disable(1);
    const routed = createNetwork(known('h2'), 'wrong', ['--ipv6', '--subnet', 'fd77::/64']);
    expect(await complaint(routed)).toContain('IPv6 is switched off on this host');
    await disable(0);
  });

  test('networks without a name get an IPv6 subnet each', async () => {
    const subnets = new Set<string>();
    for (const host of lab.hosts) {
      await createNetwork(host, 'auto', ['--ipv6']);
      const format = '{{range .IPAM.Config}}{{.Subnet}} {{end}}';
      const [, subnet = ''] = (await host.docker(['network', 'inspect', '--format', format, 'auto'])).split(
        ' ',
      );
      subnets.add(subnet);
    }
    expect(subnets.size).toBe(lab.hosts.length);
    expect(new Set([...subnets].map((subnet) => subnet.split(':').slice(0, 3).join(':'))).size).toBe(1);
    for (const host of lab.hosts) await host.docker(['network', 'rm', 'auto']);
  });

  test.each([
    [
      'an MTU that is too small for IPv6',
      ['--subnet', 'fd77::/64', '-o', 'weft.mtu=1200'],
      'IPv6 needs 1280',
    ],
    ['the subnet of the hosts', ['--subnet', 'fd09:1::/32'], 'contains fd09:1::'],
  ])('%s is refused in one sentence', async (_, args, sentence) => {
    for (const host of lab.hosts) {
      expect(await complaint(createNetwork(host, 'wrong', ['--ipv6', ...args]))).toContain(sentence);
    }
    await waitFor('the store is empty', async () => (await storeKeys(lab)).length === 0);
  });
});
