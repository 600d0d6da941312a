/** The socket by which the command `weft` asks the weft that runs; for root only, as Docker's are. */
import type { IncomingMessage } from 'node:http';
import { listen } from '../cnm/socket.ts';
import { explain, WeftError } from '../errors.ts';
import type { Log } from '../log.ts';
import { renderMetrics } from './metrics.ts';
import type { Upkeep } from './upkeep.ts';

/** By method and path; `*` stands for one word. */
const answers: Readonly<Record<string, (upkeep: Upkeep, word: string) => Promise<unknown>>> = {
  'GET /status': (upkeep) => upkeep.status(),
  'GET /metrics': async (upkeep) => renderMetrics(await upkeep.status()),
  'GET /check': (upkeep) => upkeep.check(),
  'POST /repair': (upkeep) => upkeep.repair(),
  'DELETE /hosts/*': (upkeep, host) => upkeep.removeHost(host),
};

/**
 * Never fails: without it, weft serves Docker all the same.
 * @param upkeep rejected: why weft cannot work, which is then the answer to everything
 */
export async function serveUpkeep(
  path: string,
  upkeep: Promise<Upkeep>,
  log: Pick<Log, 'warn'>,
): Promise<{ close(): void }> {
  // It is said in every answer, and in the log.
  upkeep.catch(() => undefined);
  try {
    const server = await listen(path, async (request, response) => {
      const { status, body } = await answerTo(request, upkeep);
      const [type, text] =
        typeof body === 'string' ? ['text/plain', body] : ['application/json', `${JSON.stringify(body)}\n`];
      response.writeHead(status, { 'Content-Type': type }).end(text);
    });
    return {
      close() {
        server.close();
        server.closeAllConnections();
      },
    };
  } catch (error) {
    log.warn({ socket: path, reason: explain(error) }, 'cannot be asked by the command weft');
    return { close() {} };
  }
}

async function answerTo(
  { method, url = '' }: IncomingMessage,
  upkeep: Promise<Upkeep>,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const [, folder = '', word] = url.split('/');
  const answer = answers[`${method} /${folder}${word === undefined ? '' : '/*'}`];
  if (answer === undefined) return { status: 404, body: { error: `weft has no ${method} ${url}` } };
  try {
    return { status: 200, body: await answer(await upkeep, decodeURIComponent(word ?? '')) };
  } catch (error) {
    return { status: error instanceof WeftError ? 409 : 500, body: { error: explain(error) } };
  }
}
