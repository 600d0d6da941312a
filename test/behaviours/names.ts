/** By which names containers find each other. */
import { expect } from 'vitest';
import { startContainer } from '../cluster/cluster.ts';
import { lookUp } from '../cluster/look-up.ts';
import { serveDns } from '../cluster/servers.ts';
import type { Host } from '../lab/host.ts';
import { type Behaviour, outcome } from './behaviour.ts';
import { reaches } from './containers.ts';

/** How many addresses the name has for the container. */
async function finds(host: Host, container: string, name: string): Promise<number> {
  return (await lookUp(host, container, name))?.length ?? 0;
}

export const names: readonly Behaviour[] = [
  {
    name: 'a container is found by its name, also with that of the network, and by its short id',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'asker');
      await startContainer(host, 'blue', 'web');
      const id = await host.docker(['inspect', '--format', '{{.Id}}', 'web']);
      const known = ['web', 'web.blue', id.slice(0, 12), 'nobody'];
      return {
        reaches: await reaches(host, 'asker', 'web'),
        finds: await Promise.all(known.map((name) => finds(host, 'asker', name))),
      };
    },
    holds: { reaches: true, finds: [1, 1, 1, 0] },
  },
  {
    name: 'an alias is known in its network alone, and may be that of several containers',
    async see({ host, createNetwork }) {
      for (const network of ['blue', 'red']) await createNetwork(network);
      for (const name of ['one', 'two']) await startContainer(host, 'blue', name, ['--network-alias', 'www']);
      await startContainer(host, 'red', 'other');
      await host.docker(['network', 'connect', '--alias', 'late', 'blue', 'other']);
      await startContainer(host, 'blue', 'asker');
      await startContainer(host, 'red', 'stranger');
      const both = await finds(host, 'asker', 'www');
      await host.docker(['rm', '--force', 'one']);
      const second = await finds(host, 'asker', 'www');
      await host.docker(['rm', '--force', 'two']);
      return {
        whileThere: [both, second, await finds(host, 'asker', 'www')],
        ofConnect: [await finds(host, 'asker', 'late'), await finds(host, 'stranger', 'late')],
      };
    },
    holds: { whileThere: [2, 1, 0], ofConnect: [1, 0] },
  },
  {
    name: '`--link` names a container for another one alone, and follows it over restarts',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'web');
      await startContainer(host, 'blue', 'asker', ['--link', 'web:shop', '--link', 'later:data']);
      await startContainer(host, 'blue', 'other');
      const before = await finds(host, 'asker', 'data');
      await startContainer(host, 'blue', 'later');
      await host.docker(['restart', 'web']);
      return {
        reaches: await reaches(host, 'asker', 'shop'),
        linked: [await finds(host, 'asker', 'shop'), await finds(host, 'other', 'shop')],
        madeLater: [before, await finds(host, 'asker', 'data')],
      };
    },
    holds: { reaches: true, linked: [1, 0], madeLater: [0, 1] },
  },
  {
    name: '`--dns` and `--dns-search` are what is asked for other names',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      const end = await serveDns(host, '192.0.2.7');
      try {
        const dns = ['--dns', host.address, '--dns-search', 'example'];
        await startContainer(host, 'blue', 'asker', dns);
        const file = await host.docker(['exec', 'asker', 'cat', '/etc/resolv.conf']);
        return {
          file: file.split('\n').filter((line) => /^(nameserver|search)/.test(line)),
          answer: await lookUp(host, 'asker', 'outside.example'),
          own: await reaches(host, 'asker', 'asker'),
        };
      } finally {
        await end();
      }
    },
    holds: {
      file: expect.arrayContaining(['nameserver 127.0.0.11', 'search example']),
      answer: ['192.0.2.7'],
      own: true,
    },
  },
  {
    name: 'names may have the characters that Docker takes: network `test@#$`, container `a_b.c-1`',
    async see({ host, createNetwork }) {
      const created = await outcome(createNetwork('test@#$'));
      if (created !== 'done') return created;
      await startContainer(host, 'test@#$', 'a_b.c-1');
      await startContainer(host, 'test@#$', 'asker');
      return reaches(host, 'asker', 'a_b.c-1');
    },
    holds: true,
    differs: {
      overlay: {
        sees: expect.stringContaining('name must be valid as a DNS name component'),
        why: 'Swarm takes letters, digits, `-`, `_` and `.` only.',
      },
    },
  },
];
