import { storeSuite } from '../../contract/store-suite.ts';
import { FakeLine } from '../../fakes/line.ts';
import { FakeStore } from '../../fakes/store.ts';

storeSuite('a line to the store in memory', async () => {
  const store = new FakeStore();
  const line = new FakeLine(store);
  return {
    store: line,
    cut: async () => line.cut(),
    mend: async () => line.mend(true),
    freeze: async () => line.stall(),
    thaw: async () => line.mend(true),
    loseAnswers: async () => line.loseAnswers(1),
    writeElsewhere: async (writes) => store.writeElsewhere(writes),
    compact: async () => store.compact(),
    passTime: async (durationMs) => store.advance(durationMs),
    dispose: () => line.close(),
  };
});
