/** Docker's API, as weft relies on it: every version that weft supports passes the suite of the fake. */
import { describe } from 'vitest';
import { dockerSuite } from '../contract/docker-suite.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { everyDocker, testLab } from './test-lab.ts';

const lab = testLab({ name: 'api', hosts: everyDocker });

describe.each(everyDocker)('Docker $docker', ({ name }) => {
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
