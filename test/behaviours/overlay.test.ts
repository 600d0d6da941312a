/** The rows with Docker's own driver for several hosts; each host is a swarm of its own. */
import { beforeAll } from 'vitest';
import { everyDocker, testLab } from '../cluster/test-lab.ts';
import type { Host } from '../lab/host.ts';
import { behavioursSuite } from './suite.ts';

const lab = testLab({ name: 'behoverlay', hosts: everyDocker });

const beSwarm = (host: Host) => host.docker(['swarm', 'init', '--advertise-addr', host.address]);

beforeAll(async () => {
  await Promise.all(lab.hosts.map(beSwarm));
});

behavioursSuite('overlay', lab, async (host) => {
  // Swarm may hold on to networks of containers that are gone, for longer than a test waits.
  await host.docker(['swarm', 'leave', '--force']);
  await beSwarm(host);
});
