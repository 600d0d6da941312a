/**
 * A weft to be ill-treated: the real server and the real agent, on a store and a kernel in memory, and what must
 * hold of every answer and after every refusal.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { startAgent } from '../../src/agent/agent.ts';
import { startServer } from '../../src/cnm/server.ts';
import { parsePrefix } from '../../src/model/address.ts';
import { keysBelow } from '../../src/store/keys.ts';
import { DockerClient, type Reply } from '../contract/docker-client.ts';
import { FakeKernel } from '../fakes/kernel.ts';
import { FakeStore } from '../fakes/store.ts';
import { endpointIds, grantedPool, networkIds, type Request } from './requests.ts';

const keys = keysBelow('/weft/v1/');
const resyncMs = 30_000;
const patienceMs = 20_000;

export interface Target {
  /** @throws AssertionError for an answer that is not Docker's, or a refusal that left something behind */
  send(request: Request): Promise<Reply>;
  /** Takes everything away as Docker does. @throws AssertionError when something is left */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** While it is open, resyncs come when it says so: to a weft that is in the middle of something they would lie. */
export async function openTarget(): Promise<Target> {
  mock.timers.enable({ apis: ['setInterval'] });
  const folder = mkdtempSync(join(tmpdir(), 'weft-fuzz-'));
  const [store, kernel] = [new FakeStore(), new FakeKernel()];
  const log = pino({ level: 'silent' });
  const agent = startAgent({
    ...{ store, kernel, log, resyncMs },
    storePrefix: keys.root,
    storeEndpoints: ['http://10.9.0.100:2379'],
    hostName: 'h1',
    boot: 'first',
    stateDir: folder,
    automaticSubnets: { 4: { range: parsePrefix('10.160.0.0/11'), length: 20 } },
    blockSize: 64,
    excludedRanges: [],
    addressRestMs: 60_000,
    shortcut: true,
    vxlanPort: 4789,
    probePort: 9338,
    lostInDocker: async () => [],
  });
  const socket = join(folder, 'weft.sock');
  const server = await startServer({ ...agent, sockets: [socket], scope: 'local', wantsMac: true, log });
  const docker = new DockerClient(socket);
  /** PoolIDs that weft has answered and Docker would give back, with the addresses asked for from each. */
  let granted: { readonly pool: string; readonly address?: string }[] = [];

  /** All that would be there after a restart, by name. */
  async function held(): Promise<Map<string, string>> {
    const { entries } = await store.list(keys.root);
    const shared = entries.filter(({ key }) => !['host', 'alive', 'config', 'epoch'].includes(kindOf(key)));
    const ledger = readdirSync(join(folder, 'ledger'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      // Of what the store has, and a moment after it.
      .filter((name) => !name.startsWith('blocks/'))
      .map((name): [string, string] => [name, readFileSync(join(folder, 'ledger', name), 'utf8')]);
    return new Map([...shared.map(({ key, value }): [string, string] => [key, value]), ...ledger]);
  }

  function inKernel(): string[] {
    return kernel
      .everywhere()
      .flatMap((namespace) => [
        ...(namespace === kernel.host ? [] : [namespace.name]),
        ...namespace.links().map(({ name }) => name),
        ...namespace.routes().map(({ destination }) => destination),
      ]);
  }

  async function call({ method, body }: Request): Promise<Reply> {
    const reply = await docker.call(method, body);
    checkReply(reply);
    return reply;
  }

  async function send({ method, body }: Request): Promise<Reply> {
    const pool = granted.at(-1)?.pool ?? 'none@10.88.0.0/24';
    const before = await held();
    const reply = await call({ method, body: body.replaceAll(grantedPool, pool) });
    if ('Err' in reply.body) {
      const after = await held();
      for (const [name, value] of after) {
        assert.equal(before.get(name), value, `refused (${reply.body.Err}), and yet ${name} is ${value}`);
      }
    } else if (typeof reply.body.PoolID === 'string') {
      granted.push({ pool: reply.body.PoolID });
    } else if (typeof reply.body.Address === 'string') {
      granted.push({ pool, address: reply.body.Address.replace(/\/.*/, '') });
    }
    return reply;
  }

  async function clear(): Promise<void> {
    for (const NetworkID of networkIds) {
      for (const EndpointID of endpointIds) {
        const body = JSON.stringify({ NetworkID, EndpointID });
        for (const step of ['Leave', 'DeleteEndpoint']) await call({ method: `NetworkDriver.${step}`, body });
      }
    }
    for (const { pool: PoolID, address: Address } of granted) {
      if (Address === undefined) continue;
      await call({ method: 'IpamDriver.ReleaseAddress', body: JSON.stringify({ PoolID, Address }) });
    }
    for (const { pool: PoolID } of granted) {
      await call({ method: 'IpamDriver.ReleasePool', body: JSON.stringify({ PoolID }) });
    }
    for (const NetworkID of networkIds) {
      await call({ method: 'NetworkDriver.DeleteNetwork', body: JSON.stringify({ NetworkID }) });
    }
    granted = [];
    const endMs = performance.now() + patienceMs;
    for (;;) {
      const left = [...(await held()).keys(), ...inKernel(), ...kernel.heldPorts];
      if (left.length === 0) return;
      assert.ok(performance.now() < endMs, `all was taken away, and yet there is ${left.join(', ')}`);
      mock.timers.tick(resyncMs);
      await delay(10);
    }
  }

  return {
    send,
    clear,
    async close() {
      docker.close();
      await server.close();
      await agent.close();
      rmSync(folder, { recursive: true });
      mock.timers.reset();
    },
  };
}

/** Whatever was asked: an object in Docker's media type; a refusal in one line, the same for both drivers. */
function checkReply({ status, headers, body }: Reply): void {
  assert.equal(headers['content-type'], 'application/vnd.docker.plugins.v1.2+json');
  assert.ok([200, 400, 404, 413].includes(status), `status ${status}: ${JSON.stringify(body)}`);
  assert.ok(typeof body === 'object' && body !== null && !Array.isArray(body));
  if (status === 200 && !('Err' in body)) return;
  assert.equal(body.Err, body.Error);
  assert.match(String(body.Err), /^[^\n\r]{10,1001}$/);
}

function kindOf(key: string): string {
  return keys.parse(key)?.kind ?? 'unknown';
}
