/** A host's answers to a person, for the tests of this folder. */
import type { Status, Upkeep } from '../../../src/cli/upkeep.ts';

const none = { found: 0, freed: 0 };

export const status: Status = {
  ...{ id: '0123456789ab', name: 'h1', storeConnected: true, driftRepaired: 4 },
  uplink: { address: '10.9.0.1', link: 'eth0', mtu: 1500, mac: '02:00:00:00:00:01' },
  networks: [
    { key: '10.77.0.0/16', fabric: 'routed', endpoints: 2 },
    { key: 'red', fabric: 'vxlan', endpoints: 1 },
  ],
  peers: [
    {
      ...{ id: '000000000002', name: 'h2', address: '10.9.0.2', alive: true, direct: true },
      ...{ reason: 'packets arrive there', since: '2026-01-01T00:00:00.000Z' },
    },
    {
      ...{ id: '000000000003', name: 'h3', address: '10.9.1.3', alive: false, direct: false },
      ...{ reason: 'it is behind the router 10.9.0.254', since: '2026-01-01T00:59:30.000Z' },
    },
  ],
  leftovers: { endpoint: none, network: none, address: { found: 1, freed: 7 }, pool: none, block: none },
  replication: { green: 'a network of driver bridge has its name here' },
};

export const upkeep: Upkeep = {
  status: async () => status,
  check: async () => ({ host: 'h1', disagreements: [] }),
  repair: async () => ({ host: 'h1', disagreements: [], mended: [] }),
  removeHost: async (id) => ({ id, name: 'h3', endpoints: 1, networks: 2, pools: 2, blocks: 3 }),
};
