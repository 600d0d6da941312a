import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hostIdIn } from '../../../src/agent/host-id.ts';
import { type LedgerEndpoint, openLedger } from '../../../src/agent/ledger.ts';

let folder: string;
let damaged: string[];
const open = () => openLedger(folder, (file) => damaged.push(file));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-ledger-'));
  damaged = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const endpoint: LedgerEndpoint = {
  id: 'e1',
  network: 'd1',
  mac: '02:57:0a:4d:00:02',
  addresses: ['10.77.0.2'],
  slot: 1,
};

test('what was put is there after a restart, what was deleted is not', async () => {
  const { endpoints } = open();
  await endpoints.put(endpoint);
  await endpoints.put({ ...endpoint, id: 'e2' });
  await endpoints.put({ ...endpoint, sandbox: '/run/docker/netns/abc' });
  await endpoints.delete('e2');
  expect(open().endpoints.all()).toEqual([{ ...endpoint, sandbox: '/run/docker/netns/abc' }]);
});

test('a file cut off in the middle is named and left out, and the others count', async () => {
  await open().endpoints.put(endpoint);
  const broken = join(folder, 'ledger/endpoints/e9.json');
  writeFileSync(broken, '{"id":"e9","netw');
  expect(open().endpoints.all()).toEqual([endpoint]);
  expect(damaged).toEqual([broken]);

  const { endpoints } = open();
  expect(endpoints.damaged()).toEqual([{ id: 'e9', file: broken }]);
  await endpoints.put({ ...endpoint, id: 'e9' });
  expect(endpoints.damaged()).toEqual([]);
});

test('a draft that a crash has left is cleared away', async () => {
  await open().endpoints.put(endpoint);
  writeFileSync(join(folder, 'ledger/endpoints/e1.json.7'), '{');
  expect(open().endpoints.all()).toEqual([endpoint]);
  expect(readdirSync(join(folder, 'ledger/endpoints'))).toEqual(['e1.json']);
});

test('the host keeps its id', () => {
  const id = hostIdIn(folder);
  expect(id).toMatch(/^[0-9a-f]{12}$/);
  expect(hostIdIn(folder)).toBe(id);
  expect(hostIdIn(join(folder, 'another'))).not.toBe(id);
});

test('of a put and a deletion at the same time the last one counts, on disk as well', async () => {
  const { networks } = open();
  const network = {
    id: 'd1',
    key: 'blue',
    fabric: 'routed',
    internal: false,
    pools: [],
    interfacePrefix: 'eth',
  };
  await Promise.all([networks.put(network), networks.delete('d1')]);
  expect(open().networks.all()).toEqual([]);
  await Promise.all([networks.delete('d1'), networks.put(network), networks.put({ ...network, mtu: 1400 })]);
  expect(open().networks.all()).toEqual([{ ...network, mtu: 1400 }]);
});

test('a disk that takes nothing is told by a sentence that names the folder', async () => {
  const { endpoints } = open();
  rmSync(join(folder, 'ledger/endpoints'), { recursive: true });
  await expect(endpoints.put(endpoint)).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/^weft cannot keep its records in .*endpoints \(ENOENT.* has room/),
  });
});

test.each(['', '0123', 'nonsense\n'])('a damaged id (%j) is not replaced by another, but named', (text) => {
  const path = join(folder, 'host-id');
  writeFileSync(path, text);
  expect(() => hostIdIn(folder)).toThrow(`the file ${path} is damaged`);
  expect(readFileSync(path, 'utf8')).toBe(text);
});
