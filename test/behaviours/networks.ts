/** Networks are made, shown and removed. */
import { expect } from 'vitest';
import { startContainer } from '../cluster/cluster.ts';
import { type Behaviour, outcome } from './behaviour.ts';
import { createContainer } from './containers.ts';

const given = {
  subnet: { Subnet: '10.41.0.0/16', IPRange: '10.41.4.0/24', Gateway: '10.41.0.9' },
  reserved: { router: '10.41.0.7' },
  labels: { 'com.example.note': 'a "quoted" ü' },
} as const;

/** Swarm adds the VNI. */
const options = expect.objectContaining({ 'com.docker.network.driver.mtu': '1400' });

export const networks: readonly Behaviour[] = [
  {
    name: '`docker network inspect` shows what was given: subnet, range, gateway, reserved addresses, options, labels',
    async see({ host, createNetwork }) {
      const { Subnet, IPRange, Gateway } = given.subnet;
      await createNetwork('blue', [
        ...['--subnet', Subnet, '--ip-range', IPRange, '--gateway', Gateway],
        ...['--aux-address', `router=${given.reserved.router}`],
        ...['--opt', 'com.docker.network.driver.mtu=1400'],
        ...['--label', `com.example.note=${given.labels['com.example.note']}`],
      ]);
      const [shown] = JSON.parse(await host.docker(['network', 'inspect', 'blue']));
      return { ipam: shown.IPAM.Config, options: shown.Options, labels: shown.Labels };
    },
    holds: {
      ipam: [{ ...given.subnet, AuxiliaryAddresses: given.reserved }],
      options,
      labels: given.labels,
    },
    differs: {
      overlay: {
        sees: { ipam: [given.subnet], options, labels: given.labels },
        why: 'Swarm does not keep `--aux-address`.',
      },
    },
  },
  {
    name: 'a name is given once',
    async see({ createNetwork }) {
      await createNetwork('blue');
      return outcome(createNetwork('blue'));
    },
    holds: expect.stringContaining('already exists'),
  },
  {
    name: 'a subnet that overlaps that of another network is refused',
    async see({ createNetwork }) {
      await createNetwork('blue', ['--subnet', '10.41.0.0/24']);
      return outcome(createNetwork('red', ['--subnet', '10.41.0.128/25']));
    },
    holds: expect.stringContaining('overlaps'),
    differs: {
      overlay: {
        sees: 'done',
        why: 'Each network has a VNI of its own; which two a container is on, the user sees to.',
      },
    },
  },
  {
    name: '`network rm` is refused while a container runs on it; a stopped one then asks for it in vain',
    async see({ host, createNetwork }) {
      for (const name of ['blue', 'red']) await createNetwork(name);
      await startContainer(host, 'blue', 'runs');
      await createContainer(host, 'red', 'stopped');
      return {
        running: await outcome(host.docker(['network', 'rm', 'blue'])),
        stopped: await outcome(host.docker(['network', 'rm', 'red'])),
        start: await outcome(host.docker(['start', 'stopped'])),
      };
    },
    holds: {
      running: expect.stringMatching(/has active endpoints|is in use by task/),
      stopped: 'done',
      start: expect.stringMatching(/network \S+ not found/),
    },
  },
  {
    name: '`network prune` takes the networks that no container runs on, but for those with a label that is spared',
    async see({ host, createNetwork }) {
      await createNetwork('used');
      await createNetwork('kept', ['--label', 'keep']);
      await createNetwork('idle');
      await startContainer(host, 'used', 'web');
      await host.docker(['network', 'prune', '--force', '--filter', 'label!=keep']);
      const left = (await host.docker(['network', 'ls', '--format', '{{.Name}}'])).split('\n');
      return ['used', 'kept', 'idle'].filter((name) => left.includes(name));
    },
    holds: ['used', 'kept'],
  },
];
