/** Docker's API, as weft relies on it: every version that weft supports passes the suite of the fake. */
import { afterAll, beforeAll, describe } from 'vitest';
import { dockerSuite } from '../contract/docker-suite.ts';
import { Lab } from '../lab/lab.ts';
import { dockerVersions } from '../lab/rootfs.ts';
import { toolsImage } from '../lab/tools-image.ts';

const hosts = dockerVersions.map((docker, index) => ({ name: `h${index + 1}`, docker }));
let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up({ name: 'api', hosts });
});

afterAll(() => lab?.down());

describe.each(hosts)('Docker $docker', ({ name }) => {
  dockerSuite(async () => {
    const host = lab.host(name);
    const docker = async (...args: string[]) => (await host.docker(args)).trim();
    return {
      socketPath: host.path('/run/docker.sock'),
      createContainer: (network) => docker('create', '--net', network, toolsImage, 'sleep', 'infinity'),
      startContainer: async (id) => void (await docker('start', id)),
      removeContainer: async (id) => void (await docker('rm', '--force', id)),
      async restart() {
        await host.stopDockerd();
        await host.startDockerd();
      },
      close: async () => {},
    };
  });
});
