/** What reaches what: ways in and out, and what a network carries. */
import { startContainer } from '../cluster/cluster.ts';
import { fetchFrom, hears, serve } from '../cluster/servers.ts';
import { type Behaviour, severalOfSwarm } from './behaviour.ts';
import { reaches } from './containers.ts';

export const traffic: readonly Behaviour[] = [
  {
    name: 'an internal network connects its containers, and has no way out',
    async see({ host, stranger, createNetwork }) {
      await createNetwork('blue', ['--internal']);
      const address = await startContainer(host, 'blue', 'web');
      await startContainer(host, 'blue', 'asker');
      return {
        inside: await reaches(host, 'asker', address),
        outside: await reaches(host, 'asker', stranger),
      };
    },
    holds: { inside: true, outside: false },
  },
  {
    name: '`docker port` tells the same, and the port is served, while other networks come and go',
    async see({ host, createNetwork }) {
      for (const name of ['middle', 'zebra', 'apple']) await createNetwork(name);
      await serve(host, 'middle', 'web', ['-p', '8080:80']);
      const told: string[] = [];
      const ask = async () => {
        await hears(host.name, () => fetchFrom(host, host.address, 8080), 'web hears');
        const [first = ''] = (await host.docker(['port', 'web', '80/tcp'])).split('\n');
        told.push(first);
      };
      await ask();
      for (const [what, network] of [
        ['connect', 'zebra'],
        ['disconnect', 'middle'],
        ['connect', 'apple'],
        ['disconnect', 'zebra'],
      ] as const) {
        await host.docker(['network', what, network, 'web']);
        await ask();
      }
      return told;
    },
    holds: Array.from({ length: 5 }, () => '0.0.0.0:8080'),
    differs: { overlay: severalOfSwarm },
  },
  {
    name: 'the host reaches its containers by their addresses',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      const address = await startContainer(host, 'blue', 'web');
      return host.exec(['ping', '-c', '1', '-W', '1', address]).then(
        () => true,
        () => false,
      );
    },
    holds: true,
    differs: { overlay: { sees: false, why: 'Only containers are on the network.' } },
  },
  {
    name: 'a container has one interface, by which it has its way out',
    async see({ host, stranger, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'web');
      const links = await host.docker(['exec', 'web', 'ip', '-oneline', 'link']);
      return {
        interfaces: Array.from(links.matchAll(/ (eth\d+)@/g), ([, name]) => name),
        outside: await reaches(host, 'web', stranger),
      };
    },
    holds: { interfaces: ['eth0'], outside: true },
    differs: {
      overlay: {
        sees: { interfaces: ['eth0', 'eth1'], outside: true },
        why: 'The way out is a second interface, on `docker_gwbridge`.',
      },
      weft: {
        sees: { interfaces: ['eth0', 'eth1'], outside: true },
        why: 'As with overlay; `-o weft.gateway=on` makes it one interface.',
      },
    },
  },
  {
    name: 'a broadcast reaches the containers of the network',
    async see({ host, createNetwork }) {
      await createNetwork('blue', ['--subnet', '10.41.0.0/24']);
      const hearing = ['--sysctl', 'net.ipv4.icmp_echo_ignore_broadcasts=0'];
      await startContainer(host, 'blue', 'web', hearing);
      await startContainer(host, 'blue', 'asker');
      return reaches(host, 'asker', '10.41.0.255');
    },
    holds: true,
    differs: {
      weft: {
        sees: false,
        why: 'Containers of a routed network share no segment; `-o weft.fabric=vxlan -o weft.broadcast=on` has it.',
      },
    },
  },
  {
    name: '`-o com.docker.network.driver.mtu` is the MTU of containers',
    async see({ host, createNetwork }) {
      await createNetwork('blue', ['--opt', 'com.docker.network.driver.mtu=1400']);
      await startContainer(host, 'blue', 'web');
      return (await host.docker(['exec', 'web', 'cat', '/sys/class/net/eth0/mtu'])).trim();
    },
    holds: '1400',
    differs: {
      overlay: { sees: '1350', why: 'It is that of the link between the hosts; containers have 50 less.' },
    },
  },
];
