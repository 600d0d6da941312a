/**
 * `npm run soak:swarm -- [--tasks 50] [--rounds 4]`: a service of a swarm grows from no task to so many and back, again
 * and again. After each step all tasks that run are reached by all, and the store holds their addresses and no other.
 */
import { parseArgs } from 'node:util';
import { clusterUp } from '../cluster/cluster.ts';
import { createService, fullName, holdsOnly, reachEachOther, scale } from '../cluster/service.ts';
import { formSwarm } from '../lab/swarm.ts';

const { values } = parseArgs({
  options: { tasks: { type: 'string', default: '50' }, rounds: { type: 'string', default: '4' } },
});
const [most, rounds] = [Number(values.tasks), Number(values.rounds)];

const lab = await clusterUp({
  name: 'soak-swarm',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '26.1' },
    { name: 'h3', docker: '20.10' },
  ],
  settings: { WEFT_SCOPE: 'global' },
});
try {
  const [manager, ...workers] = ['h1', 'h2', 'h3'].map((name) => lab.host(name));
  if (manager === undefined) throw new Error('the lab has no host');
  await formSwarm([manager, ...workers]);
  const drivers = ['--driver', fullName, '--ipam-driver', fullName];
  await manager.docker(['network', 'create', ...drivers, 'blue']);
  const service = { lab, manager, name: 'web', network: 'blue' };
  await createService(service, 0);
  let cycles = 0;
  for (let round = 1; round <= rounds; round += 1) {
    for (const count of [most, 0]) {
      const tasks = await scale(service, count);
      await reachEachOther(tasks);
      await holdsOnly(service, tasks);
    }
    cycles += most;
    console.log(`round ${round}: ${cycles} tasks have come and gone, no address is leaked`);
  }
} finally {
  await lab.down();
}
