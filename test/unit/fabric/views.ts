import type { LocalEndpoint, NetworkView, Peer } from '../../../src/fabric/fabric.ts';
import type { Block, Endpoint, Network } from '../../../src/model/records.ts';

/** Three hosts h1 (this one), h2 and h3 on one link; a block and a container on each. */
export const network: Network = {
  v: 1,
  key: 'blue',
  fabric: 'any',
  vni: 0x57_00_00,
  internal: false,
  pools: ['10.77.0.0/16'],
};

export function block(owner: string, cidr: string, assigned: Readonly<Record<string, string>> = {}): Block {
  const taken = Object.entries(assigned).map(([offset, host]) => [
    offset,
    { host, operation: 'o', sinceMs: 0 },
  ]);
  return {
    v: 1,
    cidr,
    pool: '10.77.0.0/16',
    owner,
    sequence: 1,
    freed: [],
    assigned: Object.fromEntries(taken),
  };
}

export function endpoint(host: string, address: string): Endpoint {
  const tail = address.split('.').at(-1) ?? '';
  return {
    v: 1,
    id: `${host}${tail}`.padEnd(64, '0'),
    network: 'blue',
    host,
    mac: `02:57:0a:4d:00:${Number(tail).toString(16).padStart(2, '0')}`,
    addresses: [address],
  };
}

export const local: LocalEndpoint = { ...endpoint('h1', '10.77.0.2'), slot: 1 };

export function peer(id: string, address: string): Peer {
  return { id, address, mtu: 1500, path: { link: 'eth0' }, direct: { passes: true } };
}

export function view(changes: Partial<NetworkView> = {}): NetworkView {
  return {
    network,
    underlay: { hostId: 'h1', address: '10.9.0.1', link: 'eth0', mtu: 1500, vxlanPort: 4789 },
    peers: new Map([peer('h2', '10.9.0.2'), peer('h3', '10.9.0.3')].map((known) => [known.id, known])),
    blocks: [block('h1', '10.77.0.0/26'), block('h2', '10.77.0.64/26'), block('h3', '10.77.0.128/26')],
    remote: [endpoint('h2', '10.77.0.66'), endpoint('h3', '10.77.0.130')],
    local: [local],
    ...changes,
  };
}
