import { agentCallsSuite } from '../../contract/agent-calls-suite.ts';
import { FakeCalls } from '../../fakes/calls.ts';
import { FakeStore } from '../../fakes/store.ts';
import { startHost } from './weft-host.ts';

agentCallsSuite('the agent', async () => {
  const { network, addresses, remove } = startHost(new FakeStore());
  return { network, addresses, close: remove };
});

agentCallsSuite('its fake', async () => {
  const calls = new FakeCalls();
  return { network: calls, addresses: calls, close: async () => {} };
});
