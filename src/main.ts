/**
 * The process. It listens before anything else, and goes on listening whatever is wrong: a plugin that does
 * not is disabled by Docker and stays so. What is wrong is then the answer to every call, and in the log.
 * With words after its name it is the command `weft`, which asks the process that runs.
 */
import { deferredCalls } from './agent/deferred.ts';
import { runCommand } from './cli/command.ts';
import { serveUpkeep } from './cli/server.ts';
import { startServer } from './cnm/server.ts';
import { describeConfig, readCapabilities, readConfig, readSockets, readUpkeepSocket } from './config.ts';
import { explain } from './errors.ts';
import { createLog } from './log.ts';
import type { Weft } from './start.ts';

const words = process.argv.slice(2);
if (words.length > 0) {
  const out = (text: string) => process.stdout.write(text);
  const error = (text: string) => process.stderr.write(text);
  process.exit(await runCommand(words, readUpkeepSocket(), { out, error }));
}

const stopping = new AbortController();
const started = Promise.withResolvers<Weft>();
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
const desk = await serveUpkeep(
  readUpkeepSocket(),
  started.promise.then(({ upkeep }) => upkeep),
  log,
);

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
  desk.close();
  await server.close();
  await started.promise.then((agent) => agent.close()).catch(() => undefined);
  process.exit(0);
}
