/** Networks stay apart, containers send as themselves only; on one host and across, on all Docker versions. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { toolsImage } from '../lab/tools-image.ts';
import {
  addressOf,
  complaint,
  createNetwork,
  leavesNoTrace,
  pings,
  reachesNot,
  startContainer,
  storeKeys,
} from './cluster.ts';
import { allReachAll, pingsAll } from './reach.ts';
import { everyDocker, testCluster } from './test-lab.ts';

const lab = testCluster({ name: 'iso', hosts: everyDocker });
const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];

const networks = [
  { name: 'blue', subnet: '10.77.0.0/24', options: [] },
  { name: 'red', subnet: '10.78.0.0/24', options: [] },
  { name: 'open', subnet: '10.79.0.0/24', options: ['-o', 'weft.isolate=off'] },
  { name: 'free', subnet: '10.80.0.0/24', options: ['-o', 'weft.isolate=off'] },
  { name: 'inner', subnet: '10.81.0.0/24', options: ['--internal'] },
  { name: 'segment', subnet: '10.82.0.0/24', options: ['-o', 'weft.fabric=vxlan'] },
] as const;

const address = (host: Host, network: string) => addressOf(host, network, `${network}1`);

beforeAll(async () => {
  for (const host of lab.hosts) {
    for (const { name, subnet, options } of networks) {
      // One that is on a single host must be kept away from by the others too.
      if (name === 'red' && host !== h1) continue;
      await createNetwork(host, name, ['--subnet', subnet, '-o', `weft.network=${name}`, ...options]);
      await startContainer(host, name, `${name}1`, ['--cap-add', 'NET_ADMIN']);
    }
    await host.docker(['network', 'create', 'docker']);
    await startContainer(host, 'docker', 'docker1');
  }
});

/** Echo requests that the container got while something was done elsewhere. */
async function echoes(host: Host, container: string, meanwhile: () => Promise<unknown>): Promise<number> {
  const count = async () => {
    const snmp = await host.docker(['exec', container, 'grep', '^Icmp:', '/proc/net/snmp']);
    const [names = '', values = ''] = snmp.split('\n');
    return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
  };
  const before = await count();
  await meanwhile();
  return (await count()) - before;
}

test.each(['blue', 'open', 'inner', 'segment'])('%s connects its own containers', async (name) => {
  await allReachAll(lab.hosts, name, `${name}1`);
});

describe('a network is not reached', () => {
  /** Asks all at once: what is not answered takes its time. */
  async function isReachedByNone(attempts: readonly (readonly [Host, string, string])[]): Promise<void> {
    const outcomes = await Promise.all(
      attempts.map(async ([host, container, target]) => {
        const isCut = await reachesNot(host, container, target);
        return isCut ? [] : [`${container} on ${host.name} reached ${target}`];
      }),
    );
    expect(outcomes.flat()).toEqual([]);
  }

  test.each([
    ['blue', 'open'],
    ['open', 'blue'],
    ['segment', 'blue'],
    ['blue', 'segment'],
  ])('from another network: %s, %s', async (from, to) => {
    for (const other of lab.hosts) {
      const target = await address(other, to);
      await isReachedByNone(lab.hosts.map((host) => [host, `${from}1`, target]));
    }
  });

  test('from a host that is not on it', async () => {
    const red = await address(h1, 'red');
    await isReachedByNone(lab.hosts.map((host) => [host, 'blue1', red]));
    // Even where somebody has told the way.
    await h3.exec(['ip', 'route', 'add', '10.78.0.0/24', 'via', h1.address]);
    await isReachedByNone([
      [h3, 'blue1', red],
      [h3, 'docker1', red],
    ]);
    await h3.exec(['ip', 'route', 'del', '10.78.0.0/24']);
  });

  test('from a network of Docker’s own', async () => {
    for (const other of lab.hosts) {
      const target = await address(other, 'blue');
      await isReachedByNone(lab.hosts.map((host) => [host, 'docker1', target]));
    }
  });
});

test('networks that are open reach each other, and no others', async () => {
  const open = await Promise.all(lab.hosts.map((host) => address(host, 'open')));
  for (const host of lab.hosts) {
    await pingsAll(host, 'free1', open);
    expect(await reachesNot(host, 'free1', await address(host, 'blue'))).toBe(true);
  }
});

test('the hosts reach containers of routed networks', async () => {
  for (const host of lab.hosts) {
    for (const other of lab.hosts) {
      await host.exec(['ping', '-c', '1', '-W', '2', await address(other, 'blue')]);
    }
  }
});

test.each(everyDocker)('an internal network of $name ($docker) has no way out', async ({ name }) => {
  const host = lab.host(name);
  const routes = await host.docker(['exec', 'inner1', 'ip', 'route']);
  expect(routes).not.toContain('default');
  await host.docker(['exec', 'inner1', 'ip', 'route', 'add', 'default', 'via', '169.254.1.1']);
  await Promise.all(
    lab.hosts
      .filter((other) => other !== host)
      .map(async (other) => {
        expect(await reachesNot(host, 'inner1', other.address)).toBe(true);
        expect(await reachesNot(host, 'inner1', await address(other, 'open'))).toBe(true);
        const inwards = ['ping', '-c', '1', '-W', '1', await address(host, 'inner')];
        expect(await complaint(other.exec(inwards))).toContain('exit code 1');
      }),
  );
});

describe.each(['blue', 'segment'])('a container of %s is heard', (name) => {
  test('from its own address only', async () => {
    for (const host of lab.hosts) {
      const wrong = (await address(host, name)).replace(/\d+$/, '250');
      await host.docker(['exec', `${name}1`, 'ip', 'address', 'add', `${wrong}/32`, 'dev', 'eth0']);
      await Promise.all(
        lab.hosts
          .filter((other) => other !== host)
          .map(async (other) => {
            const target = await address(other, name);
            const spoof = ['exec', `${name}1`, 'ping', '-c', '2', '-W', '1', '-I', wrong, target];
            expect(await echoes(other, `${name}1`, () => complaint(host.docker(spoof)))).toBe(0);
            await pings(host, `${name}1`, target);
          }),
      );
    }
  });

  test('from its own MAC only', async () => {
    for (const host of lab.hosts) {
      const link = await host.docker(['exec', `${name}1`, 'cat', '/sys/class/net/eth0/address']);
      const setMac = (mac: string) =>
        host.docker(['exec', `${name}1`, 'ip', 'link', 'set', 'eth0', 'address', mac]);
      const other = host === h1 ? h2 : h1;
      const target = await address(other, name);
      await setMac('02:66:66:66:66:66');
      const spoof = () => reachesNot(host, `${name}1`, target);
      expect(await echoes(other, `${name}1`, spoof)).toBe(0);
      await setMac(link.trim());
      await pings(host, `${name}1`, target);
    }
  });
});

test('a flushed packet filter is put back, and a container started meanwhile is heard', async () => {
  for (const host of lab.hosts) {
    await host.exec(['nft', 'delete', 'table', 'inet', 'weft']);
    await startContainer(host, 'blue', 'late');
    await pings(host, 'late', await address(h1, 'blue'));
    expect(await reachesNot(host, 'late', await address(host, 'open'))).toBe(true);
    await host.docker(['rm', '--force', 'late']);
  }
});

test('a container may be on many networks at once, of both fabrics', async () => {
  const names = Array.from({ length: 8 }, (_, n) => `many${n}`);
  for (const host of lab.hosts) {
    for (const [n, name] of names.entries()) {
      const fabric = n % 2 === 0 ? 'routed' : 'vxlan';
      const options = ['-o', `weft.network=${name}`, '-o', `weft.fabric=${fabric}`];
      await createNetwork(host, name, ['--subnet', `10.90.${n}.0/24`, ...options]);
    }
    const [first = '', ...others] = names;
    const idle = ['--stop-signal', 'KILL', toolsImage, 'sleep', 'infinity'];
    await host.docker(['create', '--name', 'all', '--net', first, ...idle]);
    for (const name of others.slice(0, 5)) await host.docker(['network', 'connect', name, 'all']);
    await host.docker(['start', 'all']);
    for (const name of others.slice(5)) await host.docker(['network', 'connect', name, 'all']);
  }
  const addresses = async (host: Host, container: string) => {
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}';
    const found = (await host.docker(['inspect', '--format', format, container])).trim().split(' ');
    expect(found).toHaveLength(names.length);
    return found;
  };
  for (const other of lab.hosts) {
    const targets = await addresses(other, 'all');
    await Promise.all(lab.hosts.map((host) => pingsAll(host, 'all', targets)));
  }
  for (const host of lab.hosts) {
    await host.docker(['network', 'disconnect', 'many2', 'all']);
    await host.docker(['network', 'connect', 'many2', 'all']);
    await pingsAll(host, 'all', await addresses(h3, 'all'));
  }
  // Those newer than 25 take many at once.
  for (const host of lab.hosts.filter((each) => each.isAtLeast('26.1'))) {
    await startContainer(
      host,
      'many0',
      'atonce',
      names.slice(1).flatMap((name) => ['--net', name]),
    );
    await pingsAll(h1, 'all', await addresses(host, 'atonce'));
    await host.docker(['rm', '--force', 'atonce']);
  }
  for (const host of lab.hosts) {
    await host.docker(['rm', '--force', 'all']);
    for (const name of names) await host.docker(['network', 'rm', name]);
  }
});

test('leaves nothing behind', async () => {
  for (const host of lab.hosts) {
    await host.docker(
      ['rm', '--force', 'docker1', ...networks.map(({ name }) => `${name}1`)].filter(
        (name) => host === h1 || name !== 'red1',
      ),
    );
    for (const { name } of networks)
      if (host === h1 || name !== 'red') await host.docker(['network', 'rm', name]);
  }
  for (const host of lab.hosts) await leavesNoTrace(host);
  expect(await storeKeys(lab)).toEqual([]);
});
