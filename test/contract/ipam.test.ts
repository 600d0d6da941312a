import { afterAll, beforeAll } from 'vitest';
import { openEtcdStore } from '../../src/store/etcd.ts';
import { startLink } from '../fakes/link.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { ipamSuite } from './ipam-suite.ts';

let etcd: EtcdServer;

beforeAll(async () => {
  etcd = await startEtcd();
});

afterAll(async () => {
  await etcd?.remove();
});

ipamSuite('address management on etcd', async () => {
  const link = await startLink(etcd.port);
  const store = openEtcdStore({ endpoints: [`http://127.0.0.1:${link.port}`], callTimeoutMs: 1_000 });
  return {
    store,
    loseAnswers: async () => link.swallowAnswers(),
    mend: () => link.mend(),
    async dispose() {
      await Promise.all([store.close(), link.close()]);
    },
  };
});
