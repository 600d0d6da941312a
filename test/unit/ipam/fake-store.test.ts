import { ipamSuite } from '../../contract/ipam-suite.ts';
import { FakeStore } from '../../fakes/store.ts';

ipamSuite('address management on the store in memory', async () => {
  const store = new FakeStore();
  return {
    store,
    loseAnswers: async () => store.loseAnswers(1),
    mend: async () => store.loseAnswers(0),
    dispose: () => store.close(),
  };
});
