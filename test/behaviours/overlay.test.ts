/** The rows with Docker's own driver for several hosts; each host is a swarm of its own. */
import { beforeAll } from 'vitest';
import { everyDocker, testLab } from '../cluster/test-lab.ts';
import { behavioursSuite } from './suite.ts';

const lab = testLab({ name: 'behoverlay', hosts: everyDocker });

beforeAll(async () => {
  await Promise.all(
    lab.hosts.map((host) => host.docker(['swarm', 'init', '--advertise-addr', host.address])),
  );
});

behavioursSuite('overlay', lab);
