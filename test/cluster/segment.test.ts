/** A vxlan network as one Ethernet segment: who holds ways to whom, containers that move, and what is for all. */
import { describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import {
  addressesOf,
  complaint,
  createNetwork,
  leavesNoTrace,
  pings,
  startContainer,
  storeKeys,
} from './cluster.ts';
import { everyDocker, testCluster } from './test-lab.ts';

const lab = testCluster({ name: 'seg', hosts: everyDocker });
const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];

/** What the host knows of containers of others on the segment. */
function entries(host: Host, vni: number): Promise<string> {
  const show = 'bridge fdb show dev weft-vx | grep dst; ip neigh show dev br0 nud permanent';
  return host.exec(['nsenter', `--net=/run/netns/weft-${vni}`, 'sh', '-c', show]);
}

describe('a segment', () => {
  const options = ['--subnet', '10.77.0.0/16', '-o', 'weft.fabric=vxlan', '-o', 'weft.vni=4242'];
  const entriesOf = (host: Host) => entries(host, 4242);

  test('is known only where it has a container, and there from the first moment', async () => {
    for (const host of lab.hosts) await createNetwork(host, 'blue', options);
    const address = await startContainer(h1, 'blue', 'blue1');
    await startContainer(h2, 'blue', 'blue1');
    await waitFor('h2 knows', async () => (await entriesOf(h2)).includes(`${address} lladdr`));
    expect(await entriesOf(h3)).toBe('');
    const ping = ['ping', '-c', '1', '-W', '3', address];
    await h3.docker(['run', '--rm', '--net', 'blue', toolsImage, ...ping]);
    await waitFor('h3 knows nobody', async () => (await entriesOf(h3)) === '');
  });

  test('follows a container that moves with its MAC and address', async () => {
    const [address, mac] = ['10.77.9.9', '02:42:0a:4d:09:09'];
    const identity = ['--ip', address, '--mac-address', mac];
    await startContainer(h3, 'blue', 'watch');
    await startContainer(h1, 'blue', 'mover', identity);
    await pings(h3, 'watch', address);
    await h3.docker(['exec', '--detach', 'watch', 'sh', '-c', `ping -i 0.2 ${address} > /tmp/pings`]);
    const answers = async () =>
      Number(await h3.docker(['exec', 'watch', 'sh', '-c', 'grep -c seq= /tmp/pings || true']));
    await waitFor('answers', async () => (await answers()) > 0);
    for (const [from, to] of [
      [h1, h2],
      [h2, h3],
      [h3, h1],
    ] as const) {
      await from.docker(['rm', '--force', 'mover']);
      await startContainer(to, 'blue', 'mover', identity);
      const before = await answers();
      await waitFor(`answers from ${to.name}`, async () => (await answers()) > before, 3_000);
      for (const host of lab.hosts.filter((each) => each !== to)) {
        if (host !== h3) await pings(host, 'blue1', address);
        const known = await entriesOf(host);
        expect(known.match(new RegExp(`${mac} dst \\S+`, 'g'))).toEqual([`${mac} dst ${to.address}`]);
        expect(known).toContain(`${address} lladdr ${mac}`);
      }
      expect(await entriesOf(to)).not.toContain(mac);
    }
    await h1.docker(['rm', '--force', 'mover']);
    await h3.docker(['rm', '--force', 'watch']);
  });

  test('keeps to itself what is for all', async () => {
    const target = await startContainer(h3, 'blue', 'blue1', hearsAll);
    await pings(h1, 'blue1', target);
    expect(await answersTo(h1, 'blue1', '10.77.255.255')).toEqual(new Set());
  });
});

const hearsAll = ['--sysctl', 'net.ipv4.icmp_echo_ignore_broadcasts=0'];

/** Who answers a ping of all, but for the container itself. */
async function answersTo(host: Host, container: string, target: string): Promise<Set<string>> {
  const ping = `ping -c 2 -W 1 ${target} || true`;
  const output = await host.docker(['exec', container, 'sh', '-c', ping]);
  const own = await host.docker(['exec', container, 'ip', 'address']);
  const all = Array.from(output.matchAll(/bytes from ([^\s%]+?)(%\w+)?: /g), ([, address = '']) => address);
  return new Set(all.filter((address) => !own.includes(` ${address}/`)));
}

describe('a segment that is to broadcast', () => {
  const options = ['--subnet', '10.78.0.0/16', '--ipv6', '--subnet', 'fd78::/64', '-o', 'weft.network=red'];
  const loud = ['-o', 'weft.fabric=vxlan', '-o', 'weft.broadcast=on'];

  test('is one on all hosts, and no routed one', async () => {
    for (const host of lab.hosts) await createNetwork(host, 'red', [...options, ...loud]);
    const otherwise = [
      '-o',
      'weft.network=red',
      '--ipam-opt',
      'weft.network=red',
      '-o',
      'weft.broadcast=off',
    ];
    expect(await complaint(createNetwork(h1, 'red2', otherwise))).toContain('weft.broadcast=on, not off');
    const routed = createNetwork(h1, 'red2', ['-o', 'weft.broadcast=on']);
    expect(await complaint(routed)).toContain('weft.broadcast=on means nothing to fabric routed');
  });

  test('brings what is for all to the containers of all hosts', async () => {
    for (const host of lab.hosts) await startContainer(host, 'red', 'red1', hearsAll);
    const known = await Promise.all(lab.hosts.map((host) => addressesOf(host, 'red', 'red1')));
    for (const [index, host] of lab.hosts.entries()) {
      const others = known.filter((_, other) => other !== index);
      const answered = async (target: string, wanted: readonly (string | undefined)[]) => {
        await waitFor(`${target} is answered on ${host.name}`, async () => {
          const heard = await answersTo(host, 'red1', target);
          if (wanted.length === heard.size && wanted.every((one) => one === undefined || heard.has(one)))
            return true;
          throw new Error(`heard ${[...heard].join(' ')}`);
        });
      };
      await answered(
        '10.78.255.255',
        others.map(([ipv4]) => ipv4),
      );
      // From addresses that containers gave themselves.
      await answered(
        'ff02::1%eth0',
        others.map(() => undefined),
      );
    }
  });
});

test('leaves nothing behind', async () => {
  for (const host of lab.hosts) {
    await host.docker(['rm', '--force', 'blue1', 'red1']);
    await host.docker(['network', 'rm', 'blue', 'red']);
  }
  for (const host of lab.hosts) await leavesNoTrace(host);
  expect(await storeKeys(lab)).toEqual([]);
});
