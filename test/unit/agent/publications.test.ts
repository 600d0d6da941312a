import { beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Ledger, LedgerEndpoint } from '../../../src/agent/ledger.ts';
import { publicationUseCases } from '../../../src/agent/publications.ts';
import { Views } from '../../../src/agent/views.ts';
import { hostTable } from '../../../src/fabric/host-table.ts';
import { createLog } from '../../../src/log.ts';
import { hostEnd } from '../../../src/model/names.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { testLedger } from './test-ledger.ts';

let kernel: FakeKernel;
let ledger: Ledger;
let views: Views;
const log = createLog('error');
const ports = () =>
  publicationUseCases({ kernel, ledger, views, log, reconciler: { settle: async () => {} } }, async () => {});
const tcp = (port: number, hostPort: number, hostPortEnd = hostPort) => ({
  protocol: 6,
  port,
  hostPort,
  hostPortEnd,
});

beforeEach(async () => {
  kernel = new FakeKernel();
  ledger = testLedger();
  const cluster = new Cluster(new Mirror('/weft/', () => {}), keysBelow('/weft/'), log);
  const underlay = { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 };
  views = new Views(
    cluster,
    ledger,
    () => underlay,
    () => true,
  );
  await ledger.networks.put({
    id: 'd1',
    key: 'blue',
    fabric: 'routed',
    internal: false,
    gateway: true,
    pools: ['10.77.0.0/16'],
    interfacePrefix: 'eth',
  });
  for (const n of [2, 3]) await ledger.endpoints.put(endpoint(n));
  const outside = { uplinks: [], tunnelInUse: false, hosts: [] };
  await kernel.host.filters.inet.write(() => hostTable(views.hostTable(outside)));
});

function endpoint(n: number): LedgerEndpoint {
  return { id: `e${n}`, network: 'd1', mac: `02:57:0a:4d:00:0${n}`, addresses: [`10.77.0.${n}`], slot: 1 };
}

const inMap = async () => [
  ...((await kernel.host.filters.inet.read())?.sets.find(({ name }) => name === 'published4')?.elements ??
    []),
];

test('a port leads to the container until it is given up, twice', async () => {
  const { publish, unpublish } = ports();
  await publish({ network: 'd1', endpoint: 'e2' }, [tcp(80, 8080)]);
  await publish({ network: 'd1', endpoint: 'e2' }, [tcp(80, 8080)]);
  expect(await inMap()).toEqual(['6 . 8080 : 10.77.0.2 . 80']);
  expect([...kernel.heldPorts]).toEqual(['0.0.0.0 6 8080']);
  await unpublish({ network: 'd1', endpoint: 'e2' });
  await unpublish({ network: 'd1', endpoint: 'e2' });
  expect(await inMap()).toEqual([]);
  expect(kernel.heldPorts.size).toBe(0);
});

test('of several ports all are published, or none', async () => {
  const { publish } = ports();
  kernel.heldPorts.add('0.0.0.0 6 8081');
  const wishes = [tcp(80, 8080), tcp(81, 8081)];
  await expect(publish({ network: 'd1', endpoint: 'e2' }, wishes)).rejects.toThrow(/8081 .* in use/);
  expect([...kernel.heldPorts]).toEqual(['0.0.0.0 6 8081']);
  expect(await inMap()).toEqual([]);
});

test('a port that leads to a container is refused to another, by name', async () => {
  const { publish } = ports();
  await publish({ network: 'd1', endpoint: 'e2' }, [tcp(80, 8080)]);
  await expect(publish({ network: 'd1', endpoint: 'e3' }, [tcp(80, 8080)])).rejects.toThrow(
    /port 8080 of this host leads to 10.77.0.2 already/,
  );
  await publish({ network: 'd1', endpoint: 'e3' }, [{ ...tcp(80, 8080), protocol: 17 }]);
});

test('the first that is free of a range is taken, and any where none is named', async () => {
  const { publish } = ports();
  await publish({ network: 'd1', endpoint: 'e2' }, [tcp(80, 8080)]);
  await publish({ network: 'd1', endpoint: 'e3' }, [tcp(80, 8080, 8082), tcp(81, 0)]);
  const [first, second] = ledger.endpoints.get('e3')?.published ?? [];
  expect(first?.hostPort).toBe(8081);
  expect(second?.hostPort).toBeGreaterThan(1023);
});

test('a weft that starts holds what is published, and lets go of what a reboot has ended', async () => {
  for (const n of [2, 3]) {
    const published = [{ protocol: 6, hostPort: 8080 + n, address: `10.77.0.${n}`, port: 80 }];
    await ledger.endpoints.put({ ...endpoint(n), published });
  }
  const peer = { name: 'weftc', mac: '02:57:0a:4d:00:02', mtu: 1500 };
  const link = {
    kind: 'veth',
    name: hostEnd('e2'),
    mtu: 1500,
    mac: 'ee:ee:ee:ee:ee:ee',
    up: true,
    strictSource: true,
    peer,
  } as const;
  await kernel.host.apply([{ do: 'put', kind: 'link', object: link }]);
  const { publish } = ports();
  await expect(publish({ network: 'd1', endpoint: 'e3' }, [tcp(80, 8082)])).rejects.toThrow(
    /leads to 10.77.0.2/,
  );
  await publish({ network: 'd1', endpoint: 'e3' }, [tcp(80, 8083)]);
  expect([...kernel.heldPorts]).toEqual(['0.0.0.0 6 8082', '0.0.0.0 6 8083']);
});
