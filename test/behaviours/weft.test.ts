/** The rows with weft, each host with a store of its own. */
import { beforeAll, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import { leavesNoTrace, pluginName } from '../cluster/cluster.ts';
import { everyDocker, testLab } from '../cluster/test-lab.ts';
import { behavioursSuite } from './suite.ts';

const lab = testLab({ name: 'behweft', hosts: everyDocker });

beforeAll(async () => {
  const plugin = await buildPlugin();
  await Promise.all(lab.hosts.map((host) => host.installPlugin(plugin, pluginName)));
});

behavioursSuite('weft', lab);

test('nothing is left of any of them', async () => {
  for (const host of lab.hosts) await leavesNoTrace(host);
});
