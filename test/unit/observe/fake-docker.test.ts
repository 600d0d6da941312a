import { dockerSuite } from '../../contract/docker-suite.ts';
import { FakeDocker } from '../../fakes/docker.ts';

dockerSuite(async () => {
  const docker = new FakeDocker();
  await docker.start();
  return {
    socketPath: docker.socketPath,
    createContainer: async (network) => docker.createContainer(network),
    startContainer: (id) => docker.startContainer(id),
    removeContainer: (id) => docker.removeContainer(id),
    async restart() {
      await docker.stop();
      await docker.start();
    },
    close: () => docker.remove(),
  };
});
