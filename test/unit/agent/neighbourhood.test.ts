import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { Cluster } from '../../../src/agent/cluster.ts';
import type { Ledger } from '../../../src/agent/ledger.ts';
import { neighbourhoodOf } from '../../../src/agent/neighbourhood.ts';
import type { Change, Vxlan } from '../../../src/kernel/state.ts';
import { type Host, records } from '../../../src/model/records.ts';
import { keysBelow } from '../../../src/store/keys.ts';
import { Mirror } from '../../../src/store/mirror.ts';
import { FakeKernel } from '../../fakes/kernel.ts';
import { testLedger } from './test-ledger.ts';

const keys = keysBelow('/weft/v1/');
const log = pino({ level: 'silent' });
const host = (id: string, address: string, mtu?: number): Host => ({
  ...{ v: 1, id, name: id, address },
  ...(mtu !== undefined && { mtu }),
});

let kernel: FakeKernel;
let ledger: Ledger;
beforeEach(() => {
  kernel = new FakeKernel();
  ledger = testLedger();
});

function neighbourhood(hosts: readonly Host[]) {
  const mirror = new Mirror('/weft/v1/', () => {});
  mirror.apply({
    type: 'snapshot',
    revision: 1n,
    entries: hosts.map((record) => ({
      ...{ key: keys.host(record.id), value: records.host.render(record) },
      revision: 1n,
    })),
  });
  return neighbourhoodOf({
    keepsAll: () => false,
    ...{ hostId: 'h1', cluster: new Cluster(mirror, keys, log), ledger },
    ...{ kernel, log, probePort: 9338, turned: () => {} },
    underlay: () => ({ hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 }),
  });
}

describe('the other hosts', () => {
  test('are all but this one, with the kernel’s way to them and what fits through their uplink', async () => {
    const hosts = [host('h1', '10.9.0.1'), host('h2', '10.9.0.2', 9000), host('h3', '10.66.0.3')];
    const peers = await neighbourhood(hosts).peers();
    expect([...peers.keys()]).toEqual(['h2', 'h3']);
    expect(peers.get('h2')).toMatchObject({ address: '10.9.0.2', mtu: 9000, path: { link: 'eth0' } });
    expect(peers.get('h3')).toMatchObject({ mtu: 1500 });
    expect(peers.get('h3')?.path).toBeUndefined();
  });

  test('are not held to be on the link because weft’s own route says so', async () => {
    const own = { destination: '10.66.0.3/32', type: 'unicast', link: 'eth0', mtu: 1400 } as const;
    await kernel.host.apply([{ do: 'put', kind: 'route', object: own }]);
    const [h3] = await neighbourhood([host('h3', '10.66.0.3', 1400)]).standing();
    expect(h3?.path).toBeUndefined();
    const [h2] = await neighbourhood([host('h2', '10.9.0.2', 1400)]).standing();
    expect(h2?.path).toMatchObject({ link: 'eth0' });
  });

  test('do not include what this host was before it lost its id', async () => {
    const hosts = [host('h0', '10.9.0.1'), host('h2', '10.9.0.2')];
    expect([...(await neighbourhood(hosts).peers()).keys()]).toEqual(['h2']);
  });

  test('are sent to as before by a weft that starts anew', async () => {
    const hosts = ['h2', 'h3', 'h4', 'h5'].map((id) => host(id, `10.9.0.${id.slice(1)}`));
    const subject = neighbourhood(hosts);
    for (const [key, encap] of [
      ['blue', 'auto'],
      ['white', 'never'],
    ] as const) {
      const subnet = key === 'blue' ? '10.77.0.0/16' : '10.78.0.0/16';
      const made = { fabric: 'routed', internal: false, pools: [subnet], interfacePrefix: 'eth' };
      await ledger.networks.put({ id: key, key, encap, ...made });
    }
    const route = (destination: string, via: string | undefined, link: string): Change => {
      const object = { destination, type: 'unicast', link, ...(via && { via }) } as const;
      return { do: 'put', kind: 'route', object };
    };
    await kernel.host.apply([
      { do: 'put', kind: 'link', object: tunnel },
      // That of a container has no next hop, which is not to be taken for that of a host without IPv6.
      route('10.77.0.2/32', undefined, 'eth0'),
      route('10.77.0.64/26', '10.9.0.2', 'eth0'),
      route('10.77.0.128/26', '10.9.0.3', 'weft-l3'),
      route('10.78.0.64/26', '10.9.0.4', 'eth0'),
    ]);
    await subject.recall();
    const passing = (await subject.standing()).filter(({ direct }) => direct.passes);
    expect(passing.map(({ id }) => id)).toEqual(['h2']);
  });
});

const tunnel: Vxlan = {
  kind: 'vxlan',
  ...{ name: 'weft-l3', mtu: 1450, mac: '02:5d:0a:09:00:01', up: true, vni: 5, port: 4789 },
  ...{ local: '10.9.0.1', suppressNeighbours: false, looseSource: true },
};
