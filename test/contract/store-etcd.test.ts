import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll } from 'vitest';
import { openEtcdStore } from '../../src/store/etcd.ts';
import { startLink } from '../fakes/link.ts';
import { type EtcdServer, startEtcd } from './etcd-server.ts';
import { storeSuite } from './store-suite.ts';

let etcd: EtcdServer;
let admin: Etcd3;

beforeAll(async () => {
  etcd = await startEtcd();
  admin = new Etcd3({ hosts: etcd.endpoint });
});

afterAll(async () => {
  admin?.close();
  await etcd?.remove();
});

storeSuite('the store on etcd', async () => {
  const link = await startLink(etcd.port);
  const store = openEtcdStore({
    endpoints: [`http://127.0.0.1:${link.port}`],
    callTimeoutMs: 1_000,
    pageSize: 1_000,
  });
  const elsewhere = openEtcdStore({ endpoints: [etcd.endpoint] });
  return {
    store,
    cut: () => link.cut(),
    mend: () => link.mend(),
    freeze: async () => etcd.freeze(),
    thaw: async () => etcd.thaw(),
    loseAnswers: async () => link.swallowAnswers(),
    writeElsewhere: async (writes) => void (await elsewhere.transact({ conditions: [], writes })),
    compact: async () => {
      const { header } = await admin.kv.range({ key: Buffer.from('\0') });
      await admin.kv.compact({ revision: header.revision });
    },
    passTime: (durationMs) => delay(durationMs),
    async dispose() {
      etcd.thaw();
      await Promise.all([store.close(), elsewhere.close(), link.close()]);
    },
  };
});
