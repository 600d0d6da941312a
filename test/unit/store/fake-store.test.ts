import { storeSuite } from '../../contract/store-suite.ts';
import { FakeStore } from '../../fakes/store.ts';

storeSuite('the store in memory', async () => {
  const store = new FakeStore();
  return {
    store,
    cut: async () => store.stop(),
    mend: async () => store.start(),
    freeze: async () => store.freeze(),
    thaw: async () => store.start(),
    loseAnswers: async () => store.loseAnswers(1),
    writeElsewhere: async (writes) => store.writeElsewhere(writes),
    compact: async () => store.compact(),
    passTime: async (durationMs) => store.advance(durationMs),
    dispose: () => store.close(),
  };
});
