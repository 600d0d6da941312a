import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Ledger, openLedger } from '../../../src/agent/ledger.ts';
import { compareWithDocker } from '../../../src/observe/comparison.ts';
import type { DockerAttachment } from '../../../src/observe/docker-container.ts';
import type { DockerNetwork } from '../../../src/observe/docker-network.ts';

const blue: DockerNetwork = {
  ...{ id: 'd1', name: 'blue', driver: 'weft', internal: false, attachable: false, ipv4: true, ipv6: false },
  ...{ options: {}, labels: {}, ipam: { driver: 'weft-ipam', options: {}, subnets: [] } },
};
const web: DockerAttachment = { container: 'web', network: 'd1', endpoint: 'e1', addresses: ['10.77.0.2'] };

let folder: string;
let ledger: Ledger;
let networks: DockerNetwork[];
/** Those of a swarm are not listed. */
let unlisted: string[];
let attachments: DockerAttachment[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-comparison-'));
  ledger = openLedger(folder, () => {});
  await ledger.networks.put({
    ...{ id: 'd1', key: '10.77.0.0/16', fabric: 'routed', internal: false },
    ...{ pools: ['10.77.0.0/16'], interfacePrefix: 'eth' },
  });
  await ledger.endpoints.put({
    ...{
      id: 'e1',
      network: 'd1',
      mac: '02:00:00:00:00:01',
      addresses: ['10.77.0.2'],
      slot: 1,
      sandbox: 's1',
    },
  });
  networks = [blue];
  unlisted = [];
  attachments = [web];
});
afterEach(() => rmSync(folder, { recursive: true }));

const found = () =>
  compareWithDocker(
    {
      networks: async () => networks,
      hasNetwork: async (id) => unlisted.includes(id),
      attachments: async () => attachments,
    },
    ledger,
  );

test('what both have alike is nothing to tell', async () => {
  expect(await found()).toEqual([]);
});

test('networks of other drivers, and containers on them, are none of weft’s', async () => {
  networks.push({ ...blue, id: 'd9', name: 'bridge', driver: 'bridge' });
  attachments.push({ ...web, network: 'd9', endpoint: 'e9' });
  expect(await found()).toEqual([]);
});

test('a network of a swarm is there though it is not listed', async () => {
  networks = [];
  unlisted = ['d1'];
  expect(await found()).toEqual([]);
});

test('a network that one of the two does not have is named', async () => {
  networks = [{ ...blue, id: 'd2', name: 'red' }];
  expect(await found()).toEqual([
    "Docker has network red of weft's driver, and weft does not know it: remove it and create it again",
    'weft has network 10.77.0.0/16 on this host (d1), and Docker does not',
  ]);
});

test('a container that one of the two does not have is named', async () => {
  attachments = [{ ...web, container: 'db', endpoint: 'e2' }];
  expect(await found()).toEqual([
    'container db is on network 10.77.0.0/16 by endpoint e2, which weft does not know: start it again',
    "weft has endpoint e1 with 10.77.0.2 on network 10.77.0.0/16, and no container of Docker's that runs has it",
  ]);
});

test('an endpoint that is not in a container yet, or any more, is not missed', async () => {
  await ledger.endpoints.put({
    ...{ id: 'e2', network: 'd1', mac: '02:00:00:00:00:02', addresses: ['10.77.0.3'], slot: 1 },
  });
  expect(await found()).toEqual([]);
});

test('a container with another address is named', async () => {
  attachments = [{ ...web, addresses: ['10.77.0.9'] }];
  expect(await found()).toEqual([
    'container web is on network 10.77.0.0/16 with 10.77.0.9 in Docker, and with 10.77.0.2 in weft',
  ]);
});
