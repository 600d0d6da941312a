/**
 * The process. It listens before anything else, and goes on listening whatever is wrong: a plugin that does
 * not is disabled by Docker and stays so. What is wrong is then the answer to every call, and in the log.
 */
import type { Agent } from './agent/agent.ts';
import { deferredCalls } from './agent/deferred.ts';
import { startServer } from './cnm/server.ts';
import { describeConfig, readCapabilities, readConfig, readSockets } from './config.ts';
import { explain } from './errors.ts';
import { createLog } from './log.ts';

const stopping = new AbortController();
const started = Promise.withResolvers<Agent>();
const log = createLog();

// The calls tell of it, and the log.
started.promise.catch(() => undefined);
// A defect in one call must not end the process: Docker gives up on a plugin that dies again and again.
process.on('unhandledRejection', (reason) => log.error({ reason: explain(reason) }, 'a defect of weft'));
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());

const server = await startServer({
  sockets: readSockets(),
  ...deferredCalls(started.promise),
  ...readCapabilities(),
  log,
});

try {
  const config = readConfig();
  log.level = config.logLevel;
  log.info(describeConfig(config), 'weft listens; these are its settings');
  const { start } = await import('./start.ts');
  started.resolve(await start(config, log, stopping.signal));
} catch (error) {
  log.error({ reason: explain(error) }, 'weft cannot work until this is put right');
  started.reject(error);
}
/** The kernel stays as it is: containers keep their traffic. */
async function stop(): Promise<void> {
  log.info('weft stops; traffic goes on');
  stopping.abort();
  await server.close();
  await started.promise.then((agent) => agent.close()).catch(() => undefined);
  process.exit(0);
}
