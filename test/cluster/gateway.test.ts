/** weft as the way out, and published ports, on all Docker versions. */
import { describe, expect, test } from 'vitest';
import { toolsImage } from '../lab/tools-image.ts';
import {
  complaint,
  createNetwork,
  leavesNoTrace,
  removeNetwork,
  startContainer,
  storeKeys,
  termsOf,
} from './cluster.ts';
import { allReachAll, pingsAll } from './reach.ts';
import { askUdp, fetchFrom, fetchIn, hears, serve, serveUdp } from './servers.ts';
import { everyDocker, testCluster } from './test-lab.ts';

const lab = testCluster({ name: 'gate', hosts: everyDocker });
const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];

describe.each([
  { fabric: 'routed', name: 'gr', subnet: '10.77.0.0/24' },
  { fabric: 'vxlan', name: 'gv', subnet: '10.78.0.0/24' },
])('a $fabric network', ({ fabric, name, subnet }) => {
  const options = termsOf({ name, fabric, subnet });

  test('gives containers one interface, and the way out by it', async () => {
    for (const host of lab.hosts) {
      await createNetwork(host, name, [...options, '-o', 'weft.gateway=on']);
      await startContainer(host, name, `${name}1`);
      const links = await host.docker(['exec', `${name}1`, 'ip', '-o', 'link']);
      expect(links.match(/eth\d+@/g)).toHaveLength(1);
    }
    const outside = lab.hosts.map(({ address }) => address);
    await Promise.all(lab.hosts.map((host) => pingsAll(host, `${name}1`, outside)));
    await allReachAll(lab.hosts, name, `${name}1`);
  });

  test('publishes ports to the other hosts, with the source kept, and to the host itself', async () => {
    for (const host of lab.hosts) {
      const address = await serve(host, name, 'web', ['-p', '8080:80']);
      for (const other of lab.hosts.filter(({ name }) => name !== host.name)) {
        const ask = () => fetchFrom(other, host.address, 8080);
        await hears(other.name, ask, `web hears ${other.address}`);
      }
      await hears(host.name, () => fetchFrom(host, host.address, 8080), 'web hears');
      await hears(host.name, () => fetchFrom(host, '127.0.0.1', 8080), 'web hears');
      await hears('itself', () => fetchIn(host, 'web', host.address, 8080), 'web hears');
      await hears('a neighbour', () => fetchIn(host, `${name}1`, host.address, 8080), 'web hears');
      await hears(
        'another host’s',
        () => fetchIn(host === h1 ? h2 : h1, `${name}1`, host.address, 8080),
        'web hears',
      );
      if (fabric === 'routed') {
        const other = host === h1 ? h2 : h1;
        const direct = () => fetchFrom(other, address, 80);
        await hears(other.name, direct, `web hears ${other.address}`);
      }
    }
  });

  test('publishes to containers of Docker’s own networks', async () => {
    for (const host of lab.hosts) {
      await startContainer(host, 'bridge', 'bridged');
      await hears('bridged', () => fetchIn(host, 'bridged', host.address, 8080), 'web hears');
      await host.docker(['rm', '--force', 'bridged']);
    }
  });

  test('refuses a port that is taken, by whomever', async () => {
    for (const host of lab.hosts) {
      const again = serve(host, name, 'web2', ['-p', '8080:80']);
      expect(await complaint(again)).toContain('leads to');
      await host.docker(['rm', '--force', 'web2']);
      const dockers = host.docker(['run', '--name', 'web3', '-p', '8080:80', toolsImage, 'true']);
      expect(await complaint(dockers)).toMatch(/address already in use|port is already allocated/);
      await host.docker(['rm', '--force', 'web3']);
      await startContainer(host, 'bridge', 'web4', ['-p', '8081:80']);
      const theirs = serve(host, name, 'web5', ['-p', '8081:80']);
      expect(await complaint(theirs)).toContain('in use');
      await host.docker(['rm', '--force', 'web4', 'web5']);
    }
  });

  test('chooses from a range, or any, and serves one address of the host where that is asked for', async () => {
    for (const host of lab.hosts) {
      await serve(host, name, 'range', ['-p', '8080-8082:80', '-p', '127.0.0.1:8090:80', '-p', '80']);
      await hears(host.name, () => fetchFrom(host, host.address, 8081), 'range hears');
      await hears(host.name, () => fetchFrom(host, '127.0.0.1', 8090), 'range hears');
      expect(await complaint(fetchFrom(host, host.address, 8090))).toContain('exit code');
      await host.docker(['rm', '--force', 'range']);
      expect(await complaint(fetchFrom(host, host.address, 8081))).toContain('exit code');
    }
  });

  test('keeps ports through a restart of the container and of weft', async () => {
    for (const host of lab.hosts) {
      await host.docker(['restart', 'web']);
      const other = host === h1 ? h2 : h1;
      await hears(other.name, () => fetchFrom(other, host.address, 8080), `web hears ${other.address}`);
    }
    await h2.docker(['plugin', 'disable', '--force', 'weft-plugin']);
    await hears('h3', () => fetchFrom(h3, h2.address, 8080), `web hears ${h3.address}`);
    await h2.docker(['plugin', 'enable', 'weft-plugin']);
    await hears('h3', () => fetchFrom(h3, h2.address, 8080), `web hears ${h3.address}`);
    const dockers = h2.docker(['run', '--rm', '-p', '8080:80', toolsImage, 'true']);
    expect(await complaint(dockers)).toMatch(/address already in use|port is already allocated/);
  });

  test('does not hold up networks of Docker’s own', async () => {
    for (const host of lab.hosts) {
      await serve(host, 'bridge', 'docks', ['-p', '8083:80']);
      const other = host === h1 ? h2 : h1;
      await hears(other.name, () => fetchFrom(other, host.address, 8083), 'docks hears');
      await hears('container', () => fetchIn(other, `${name}1`, host.address, 8083), 'docks hears');
      await host.docker(['rm', '--force', 'docks']);
    }
  });

  const second = ['--subnet', '10.99.0.0/24', '-o', 'weft.network=second', '-o', 'weft.gateway=on'];

  test('follows the way out to another network and back', async () => {
    for (const host of lab.hosts) {
      await createNetwork(host, 'second', second);
      await host.docker(['network', 'connect', 'second', 'web']);
      const other = host === h1 ? h2 : h1;
      await hears(other.name, () => fetchFrom(other, host.address, 8080), 'web hears');
      await host.docker(['network', 'disconnect', name, 'web']);
      await hears(other.name, () => fetchFrom(other, host.address, 8080), 'web hears');
      await host.docker(['network', 'connect', name, 'web']);
      await host.docker(['network', 'disconnect', 'second', 'web']);
      await hears(other.name, () => fetchFrom(other, host.address, 8080), 'web hears');
    }
    for (const host of lab.hosts) await host.docker(['network', 'rm', 'second']);
  });

  test('is the way out, or is not, as Docker’s priorities say', async ({ skip }) => {
    skip(!h3.isAtLeast('28.5'), 'Docker has priorities from 28 on');
    await createNetwork(h3, 'second', second);
    const wayOut = async () => (await h3.docker(['exec', 'web', 'ip', 'route', 'show', 'default'])).trim();
    const before = await wayOut();
    for (const [priority, moves] of [
      ['-1', false],
      ['10', true],
    ] as const) {
      await h3.docker(['network', 'connect', '--gw-priority', priority, 'second', 'web']);
      expect((await wayOut()) !== before).toBe(moves);
      await hears('h1', () => fetchFrom(h1, h3.address, 8080), 'web hears');
      await h3.docker(['network', 'disconnect', 'second', 'web']);
      expect(await wayOut()).toBe(before);
    }
    await h3.docker(['network', 'rm', 'second']);
  });

  test('leaves nothing behind', async () => {
    await removeNetwork(lab.hosts, name, ['web', `${name}1`]);
    for (const host of lab.hosts) await leavesNoTrace(host);
    expect(await storeKeys(lab)).toEqual([]);
  });
});

describe.each([
  { fabric: 'routed', name: 'gr6', subnets: ['10.77.0.0/24', 'fd77::/64'] },
  { fabric: 'vxlan', name: 'gv6', subnets: ['10.78.0.0/24', 'fd78::/64'] },
])('a $fabric network of both families', ({ fabric, name, subnets }) => {
  const options = ['--ipv6', ...subnets.flatMap((subnet) => ['--subnet', subnet])];
  const terms = ['-o', `weft.network=${name}`, '-o', `weft.fabric=${fabric}`, '-o', 'weft.gateway=on'];

  test('has the way out in both', async () => {
    for (const host of lab.hosts) {
      await createNetwork(host, name, [...options, ...terms]);
      await startContainer(host, name, `${name}1`);
    }
    const outside = lab.hosts.map(({ address6 }) => address6);
    await Promise.all(lab.hosts.map((host) => pingsAll(host, `${name}1`, outside)));
    await allReachAll(lab.hosts, name, `${name}1`);
  });

  test('publishes TCP and UDP ports in both, with the source kept', async () => {
    for (const host of lab.hosts) {
      await serve(host, name, 'web', ['-p', '8080:80', '-p', '8080:90/udp']);
      const udp = await serveUdp(host, 'web', 90);
      for (const own of ['address', 'address6'] as const) {
        const at = host[own];
        for (const other of lab.hosts.filter(({ name }) => name !== host.name)) {
          await hears(other.name, () => fetchFrom(other, at, 8080), `web hears ${other[own]}`);
          await hears(other.name, () => askUdp(other, at, 8080), `web hears ${other[own]}`);
        }
        await hears(host.name, () => fetchFrom(host, at, 8080), 'web hears');
        await hears(host.name, () => askUdp(host, at, 8080), 'web hears');
        await hears('itself', () => fetchIn(host, 'web', at, 8080), 'web hears');
        await hears('a neighbour', () => fetchIn(host, `${name}1`, at, 8080), 'web hears');
        const other = host === h1 ? h2 : h1;
        await hears('another host’s', () => fetchIn(other, `${name}1`, at, 8080), `web hears ${other[own]}`);
      }
      await udp.signal('KILL');
    }
  });

  test('publishes at one IPv6 address where that is asked for', async () => {
    for (const host of lab.hosts) {
      const other = host === h1 ? h2 : h1;
      await serve(host, name, 'one', ['-p', `[${host.address6}]:8090:80`]);
      await hears(other.name, () => fetchFrom(other, host.address6, 8090), `one hears ${other.address6}`);
      expect(await complaint(fetchFrom(other, host.address, 8090))).toContain('exit code');
      await host.docker(['rm', '--force', 'one']);
      expect(await complaint(fetchFrom(other, host.address6, 8090))).toContain('exit code');
    }
  });

  test('leaves nothing behind', async () => {
    await removeNetwork(lab.hosts, name, ['web', `${name}1`]);
    for (const host of lab.hosts) await leavesNoTrace(host);
    expect(await storeKeys(lab)).toEqual([]);
  });
});

test('a way out that is none is refused', async () => {
  const both = ['--internal', '-o', 'weft.gateway=on'];
  for (const host of lab.hosts) {
    expect(await complaint(createNetwork(host, 'wrong', both))).toContain('--internal');
  }
});
