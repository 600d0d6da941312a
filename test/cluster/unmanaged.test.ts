/** weft as a plain process on one host, as the managed plugin on the other. */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, test } from 'vitest';
import { buildPlugin } from '../../plugin/build.ts';
import { bundle } from '../../plugin/bundle.ts';
import { cacheFolder, projectFolder } from '../lab/folders.ts';
import type { Process } from '../lab/machine.ts';
import { waitFor } from '../lab/wait.ts';
import {
  createNetwork,
  nothingIsLeft,
  pings,
  pluginName,
  removeNetwork,
  startContainer,
  termsOf,
  waitForNetwork,
} from './cluster.ts';
import { testLab } from './test-lab.ts';

const lab = testLab({
  name: 'plain',
  hosts: [
    { name: 'h1', docker: '28.5' },
    { name: 'h2', docker: '20.10' },
  ],
  etcd: { members: 1 },
});
const [h1, h2] = [lab.host('h1'), lab.host('h2')];
let weft: Process;

beforeAll(async () => {
  const dist = join(cacheFolder, 'dist-unmanaged');
  await bundle(join(projectFolder, 'src/main.ts'), dist);
  await mkdir(h1.path('/opt/weft'), { recursive: true });
  await cp(dist, h1.path('/opt/weft'), { recursive: true });
  await cp(process.execPath, h1.path('/opt/weft/node'));
  weft = await start();
  await h2.installPlugin(await buildPlugin(), pluginName, { WEFT_ETCD_ENDPOINTS: lab.etcd.endpoints });
});

function start(within: readonly string[] = []): Promise<Process> {
  const store = `WEFT_ETCD_ENDPOINTS=${lab.etcd.endpoints}`;
  return h1.start('weft', [...within, 'env', store, '/opt/weft/node', '/opt/weft/weft.js']);
}

test.each(['routed', 'vxlan'])('both take part in one %s network', async (fabric) => {
  const options = termsOf({ name: 'blue', fabric, subnet: '10.77.0.0/16' });
  await createNetwork(h1, 'blue', options);
  await waitForNetwork(h2, 'blue');
  const [web, data] = [await startContainer(h1, 'blue', 'web'), await startContainer(h2, 'blue', 'data')];
  await pings(h1, 'web', data);
  await pings(h2, 'data', web);
  await h1.docker(['rm', '--force', 'web']);
  await h2.docker(['rm', '--force', 'data']);
  await h2.docker(['network', 'rm', 'blue']);
  await nothingIsLeft(lab);
});

test('where the API of Docker cannot be reached, a network is made by hand on each host', async () => {
  await weft.signal('TERM');
  await weft.ended();
  const hidden = 'mount --bind /dev/null /run/docker.sock && exec "$@"';
  weft = await start(['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', hidden, 'sh']);
  await waitFor('the log says so', async () => {
    return (await h1.exec(['cat', '/var/log/weft.log'])).includes("Docker's API is away");
  });
  const options = termsOf({ name: 'blue', fabric: 'routed', subnet: '10.77.0.0/16' });
  for (const host of [h1, h2]) await createNetwork(host, 'blue', options);
  const web = await startContainer(h1, 'blue', 'web');
  await startContainer(h2, 'blue', 'data');
  await pings(h2, 'data', web);
  await removeNetwork([h1, h2], 'blue', ['web', 'data']);
  await nothingIsLeft(lab);
});
