/** Containers come to networks and leave them. */
import { expect } from 'vitest';
import { addressOf, startContainer } from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import { type Behaviour, outcome, severalOfSwarm } from './behaviour.ts';
import { createContainer, interfacesOn, networksOf, reaches } from './containers.ts';

/** What a container that is (or was) connected sees of its networks, and of a neighbour on one of them. */
async function seenBy(host: Host, container: string, neighbour: string) {
  return {
    interfaces: await interfacesOn(host, container),
    inspect: await networksOf(host, container),
    reaches: await reaches(host, container, neighbour),
  };
}

export const connections: readonly Behaviour[] = [
  {
    name: 'a running container is connected to another network and disconnected from it',
    async see({ host, createNetwork }) {
      for (const name of ['first', 'second']) await createNetwork(name);
      await startContainer(host, 'first', 'mover');
      const neighbour = await startContainer(host, 'second', 'neighbour');
      await host.docker(['network', 'connect', 'second', 'mover']);
      const connected = await seenBy(host, 'mover', neighbour);
      await host.docker(['network', 'disconnect', 'second', 'mover']);
      return { connected, disconnected: await seenBy(host, 'mover', neighbour) };
    },
    holds: {
      connected: { interfaces: ['first', 'second'], inspect: ['first', 'second'], reaches: true },
      disconnected: { interfaces: ['first'], inspect: ['first'], reaches: false },
    },
  },
  {
    name: 'a stopped container is connected and disconnected, and starts as that says',
    async see({ host, createNetwork }) {
      for (const name of ['first', 'second', 'third']) await createNetwork(name);
      await createContainer(host, 'first', 'mover');
      await host.docker(['network', 'connect', 'second', 'mover']);
      await host.docker(['network', 'disconnect', 'first', 'mover']);
      await host.docker(['start', 'mover']);
      const started = await seenBy(host, 'mover', await startContainer(host, 'second', 'neighbour'));
      await host.docker(['stop', 'mover']);
      await host.docker(['network', 'connect', 'third', 'mover']);
      await host.docker(['start', 'mover']);
      return { started, startedAgain: await interfacesOn(host, 'mover') };
    },
    holds: {
      started: { interfaces: ['second'], inspect: ['second'], reaches: true },
      startedAgain: ['second', 'third'],
    },
    differs: { overlay: severalOfSwarm },
  },
  {
    name: 'connections outlive a restart of the container',
    async see({ host, createNetwork }) {
      for (const name of ['first', 'second']) await createNetwork(name);
      const neighbour = await startContainer(host, 'second', 'neighbour');
      await startContainer(host, 'first', 'member');
      await host.docker(['network', 'connect', 'second', 'member']);
      await host.docker(['restart', 'member']);
      return seenBy(host, 'member', neighbour);
    },
    holds: { interfaces: ['first', 'second'], inspect: ['first', 'second'], reaches: true },
    differs: { overlay: severalOfSwarm },
  },
  {
    name: 'a container is connected to a network once',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      const address = await startContainer(host, 'blue', 'web');
      const again = await outcome(host.docker(['network', 'connect', 'blue', 'web']));
      return { again, isUnchanged: (await addressOf(host, 'blue', 'web')) === address };
    },
    holds: {
      again: expect.stringMatching(/already exists in network|already attached to network/),
      isUnchanged: true,
    },
  },
  {
    name: '`disconnect --force` frees the address of a running container',
    async see({ host, createNetwork }) {
      await createNetwork('blue', ['--subnet', '10.41.0.0/24']);
      await startContainer(host, 'blue', 'web', ['--ip', '10.41.0.77']);
      await host.docker(['network', 'disconnect', '--force', 'blue', 'web']);
      return {
        inspect: await networksOf(host, 'web'),
        address: await startContainer(host, 'blue', 'next', ['--ip', '10.41.0.77']),
      };
    },
    holds: { inspect: [], address: '10.41.0.77' },
  },
];
