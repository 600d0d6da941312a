import type { LocalEndpoint, NetworkView, Peer } from '../../../src/fabric/fabric.ts';
import { parsePrefix } from '../../../src/model/address.ts';
import { type Block, type Claim, claimOf, withHolder } from '../../../src/model/block-record.ts';
import { macOf } from '../../../src/model/names.ts';
import type { Endpoint, Network } from '../../../src/model/records.ts';

/** Three hosts h1 (this one), h2 and h3 on one link; a block and a container on each. */
const hosts = ['h1', 'h2', 'h3'] as const;

/** What the three have of each family. */
const plans = {
  4: {
    pool: '10.77.0.0/16',
    blocks: ['10.77.0.0/26', '10.77.0.64/26', '10.77.0.128/26'],
    addresses: ['10.77.0.2', '10.77.0.66', '10.77.0.130'],
  },
  6: {
    pool: 'fd77::/64',
    blocks: ['fd77::/122', 'fd77::40/122', 'fd77::80/122'],
    addresses: ['fd77::2', 'fd77::42', 'fd77::82'],
  },
} as const;

const underlays = {
  IPv4: ['10.9.0.1', '10.9.0.2', '10.9.0.3'],
  IPv6: ['fd09::1', 'fd09::2', 'fd09::3'],
} as const;

export const network: Network = {
  v: 1,
  key: 'blue',
  fabric: 'any',
  vni: 0x57_00_00,
  internal: false,
  pools: [plans[4].pool],
};

export const tunnels = { hosts: ['10.9.0.2', '10.9.0.3'], vnis: [network.vni ?? 0] };

export function block(owner: string, cidr: string, assigned: Readonly<Record<string, string>> = {}): Block {
  const { pool } = plans[parsePrefix(cidr).family];
  const none: Block = { v: 1, cidr, pool, owner, sequence: 1, freed: [], assigned: {} };
  return Object.entries(assigned).reduce(
    (made, [offset, host]) => withHolder(made, Number(offset), { host, operation: 'o', sinceMs: 0 }),
    none,
  );
}

/** To such a block. */
export function claim(...of: Parameters<typeof block>): Claim {
  return claimOf(block(...of));
}

export function endpoint(host: string, ...addresses: readonly string[]): Endpoint {
  const [first = ''] = addresses;
  const tail = first.split(/[.:]/).at(-1) ?? '';
  return {
    v: 1,
    id: `${host}${tail}`.padEnd(64, '0'),
    network: 'blue',
    host,
    mac: macOf(first),
    addresses: [...addresses],
  };
}

export const local: LocalEndpoint = { ...endpoint('h1', '10.77.0.2'), slot: 1 };

export function peer(id: string, address: string): Peer {
  const linkLocal = `fe80::${id.slice(1)}`;
  return {
    id,
    address,
    linkLocal,
    mtu: 1500,
    path: { link: 'eth0' },
    direct: { passes: true, assumed: false },
  };
}

/** The network with subnets of these families, over hosts that know each other by addresses of one. */
export function viewOf(families: readonly (4 | 6)[], underlay: keyof typeof underlays = 'IPv4'): NetworkView {
  const [own, ...others] = underlays[underlay];
  const subnets = families.map((family) => plans[family]);
  const endpoints = hosts.map((host, index) =>
    endpoint(host, ...subnets.flatMap(({ addresses }) => addresses[index] ?? [])),
  );
  const [here, ...remote] = endpoints;
  return {
    network: { ...network, pools: subnets.map(({ pool }) => pool) },
    underlay: {
      hostId: 'h1',
      address: own,
      link: 'eth0',
      mac: '02:00:00:00:00:01',
      mtu: 1500,
      vxlanPort: 4789,
    },
    peers: new Map(others.map((address, index) => [`h${index + 2}`, peer(`h${index + 2}`, address)])),
    claims: subnets.flatMap(({ blocks }) => blocks.map((cidr, index) => claim(`h${index + 1}`, cidr))),
    beyond: [],
    shortcut: true,
    remote,
    local: here === undefined ? [] : [{ ...here, slot: 1 }],
  };
}

export function view(changes: Partial<NetworkView> = {}): NetworkView {
  return { ...viewOf([4]), ...changes };
}
