/** Which addresses containers have. */
import { expect } from 'vitest';
import { addressOf, startContainer } from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import { type Behaviour, outcome, severalOfSwarm } from './behaviour.ts';
import { attachments, createContainer, reaches } from './containers.ts';

const subnet = ['--subnet', '10.41.0.0/24'];

/** As the container sees it. */
async function macInside(host: Host, container: string): Promise<string> {
  return (await host.docker(['exec', container, 'cat', '/sys/class/net/eth0/address'])).trim();
}

export const addresses: readonly Behaviour[] = [
  {
    name: '`--ip` is kept over restarts, that of `network connect` too',
    async see({ host, createNetwork }) {
      await createNetwork('first', subnet);
      await createNetwork('second', ['--subnet', '10.41.1.0/24']);
      await startContainer(host, 'first', 'web', ['--ip', '10.41.0.77']);
      await host.docker(['network', 'connect', '--ip', '10.41.1.88', 'second', 'web']);
      await host.docker(['restart', 'web']);
      await host.docker(['stop', 'web']);
      await host.docker(['start', 'web']);
      return [await addressOf(host, 'first', 'web'), await addressOf(host, 'second', 'web')];
    },
    holds: ['10.41.0.77', '10.41.1.88'],
    differs: { overlay: severalOfSwarm },
  },
  {
    name: '`--ip` of another container, or outside of the subnet, is refused',
    async see({ host, createNetwork }) {
      await createNetwork('blue', subnet);
      await startContainer(host, 'blue', 'web', ['--ip', '10.41.0.77']);
      return {
        taken: await outcome(startContainer(host, 'blue', 'second', ['--ip', '10.41.0.77'])),
        outside: await outcome(startContainer(host, 'blue', 'third', ['--ip', '10.99.0.77'])),
      };
    },
    holds: {
      taken: expect.stringMatching(/Address already in use|is in use|attaching to network failed/),
      outside: expect.stringMatching(
        /does not belong to any of this network's subnets|no configured subnet|attaching to network failed/,
      ),
    },
  },
  {
    name: '`--ip` needs a network whose subnet the user has chosen',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      const format = '{{(index .IPAM.Config 0).Subnet}}';
      const chosen = (await host.docker(['network', 'inspect', '--format', format, 'blue'])).trim();
      const address = chosen.replace(/\d+\/\d+$/, '77');
      return outcome(startContainer(host, 'blue', 'web', ['--ip', address]));
    },
    holds: expect.stringContaining('only when connecting to networks with user configured subnets'),
    differs: {
      overlay: { sees: 'done', why: 'To a host, the subnet that swarm has chosen is one that was given.' },
    },
  },
  {
    name: 'inspect shows the MAC address, `--mac-address` is kept over restarts, and no two are the same',
    async see({ host, createNetwork }) {
      await createNetwork('blue', subnet);
      await startContainer(host, 'blue', 'first');
      await startContainer(host, 'blue', 'chosen', ['--mac-address', '02:42:00:00:00:77']);
      // Another one starts while the first, whose address is free then, is stopped.
      await host.docker(['stop', 'first']);
      await startContainer(host, 'blue', 'second');
      await host.docker(['start', 'first']);
      await host.docker(['restart', 'chosen']);
      const names = ['first', 'second', 'chosen'];
      const shown = await Promise.all(
        names.map(async (name) => (await attachments(host, name)).blue?.MacAddress),
      );
      const inside = await Promise.all(names.map((name) => macInside(host, name)));
      return {
        areShown: inside.join() === shown.join(),
        chosen: inside.at(-1),
        different: new Set(inside).size,
      };
    },
    holds: { areShown: true, chosen: '02:42:00:00:00:77', different: 3 },
  },
  {
    name: '`--net name=…,mac-address=…` gives a MAC address on each of several networks',
    since: '26.1',
    async see({ host, createNetwork }) {
      const chosen = { first: '02:42:00:00:00:77', second: '02:42:00:00:00:88' };
      for (const name of Object.keys(chosen)) await createNetwork(name);
      const [own = '', other = ''] = Object.entries(chosen).map(
        ([name, mac]) => `name=${name},mac-address=${mac}`,
      );
      await createContainer(host, own, 'web', ['--net', other]);
      await host.docker(['start', 'web']);
      const { first, second } = await attachments(host, 'web');
      return [first?.MacAddress, second?.MacAddress];
    },
    holds: ['02:42:00:00:00:77', '02:42:00:00:00:88'],
    differs: { overlay: severalOfSwarm },
  },
  {
    name: 'containers reach each other by `--link-local-ip`',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'web', ['--link-local-ip', '169.254.7.7']);
      await startContainer(host, 'blue', 'asker', ['--link-local-ip', '169.254.8.8']);
      return reaches(host, 'asker', '169.254.7.7');
    },
    holds: true,
    differs: {
      overlay: { sees: false, why: 'Containers are reached at addresses of the network alone.' },
      weft: { sees: false, why: 'A container is heard only with addresses that its network gave it.' },
    },
  },
];
