/** By which names containers find each other. */
import { expect } from 'vitest';
import { addressOf, startContainer } from '../cluster/cluster.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { type Behaviour, outcome } from './behaviour.ts';
import { reaches } from './containers.ts';

export const names: readonly Behaviour[] = [
  {
    name: 'a container is found by its name, also with that of the network, and by its short id',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'asker');
      await startContainer(host, 'blue', 'web');
      const id = await host.docker(['inspect', '--format', '{{.Id}}', 'web']);
      const found = ['web', 'web.blue', id.slice(0, 12), 'nobody'];
      return Promise.all(found.map((name) => reaches(host, 'asker', name)));
    },
    holds: [true, true, true, false],
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
      const both = await reaches(host, 'asker', 'www');
      await host.docker(['rm', '--force', 'one']);
      const second = await reaches(host, 'asker', 'www');
      await host.docker(['rm', '--force', 'two']);
      return {
        whileThere: [both, second, await reaches(host, 'asker', 'www')],
        ofConnect: [await reaches(host, 'asker', 'late'), await reaches(host, 'stranger', 'late')],
      };
    },
    holds: { whileThere: [true, true, false], ofConnect: [true, false] },
  },
  {
    name: '`--link` names a container for another one alone, and follows it over restarts',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      await startContainer(host, 'blue', 'web');
      await startContainer(host, 'blue', 'asker', ['--link', 'web:shop', '--link', 'later:data']);
      await startContainer(host, 'blue', 'other');
      const before = await reaches(host, 'asker', 'data');
      await startContainer(host, 'blue', 'later');
      await host.docker(['restart', 'web']);
      return {
        linked: [await reaches(host, 'asker', 'shop'), await reaches(host, 'other', 'shop')],
        madeLater: [before, await reaches(host, 'asker', 'data')],
      };
    },
    holds: { linked: [true, false], madeLater: [false, true] },
  },
  {
    name: '`--dns` and `--dns-search` are what is asked for other names',
    async see({ host, createNetwork }) {
      await createNetwork('blue');
      const serve = 'echo "outside.example 192.0.2.7" > /names; exec busybox dnsd -c /names';
      const server = ['--detach', '--net', 'blue', '--name', 'server', toolsImage, 'sh', '-c', serve];
      await host.docker(['run', ...server]);
      const dns = ['--dns', await addressOf(host, 'blue', 'server'), '--dns-search', 'example'];
      await startContainer(host, 'blue', 'asker', dns);
      const inside = (...command: string[]) => host.docker(['exec', 'asker', ...command]);
      return {
        resolver: await inside('grep', '-E', '^(nameserver|search)', '/etc/resolv.conf'),
        answer: await inside('nslookup', '-type=a', 'outside.example'),
        searched: await inside('nslookup', '-type=a', 'outside'),
        own: await reaches(host, 'asker', 'server'),
      };
    },
    holds: {
      resolver: expect.stringMatching(
        /^(search example\nnameserver 127.0.0.11|nameserver 127.0.0.11\nsearch example)$/,
      ),
      answer: expect.stringContaining('192.0.2.7'),
      searched: expect.stringContaining('192.0.2.7'),
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
