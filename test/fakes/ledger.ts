/** A host's ledger in memory, on a disk that outlives the weft that writes it. */
import type {
  Ledger,
  LedgerBlock,
  LedgerEndpoint,
  LedgerNetwork,
  LedgerPool,
  LedgerReplica,
} from '../../src/agent/ledger.ts';
import type { Items } from '../../src/agent/shelf.ts';
import type { Life } from './mortal.ts';

export interface FakeDisk {
  readonly networks: Map<string, LedgerNetwork>;
  readonly pools: Map<string, LedgerPool>;
  readonly endpoints: Map<string, LedgerEndpoint>;
  readonly replicas: Map<string, LedgerReplica>;
  readonly blocks: Map<string, LedgerBlock>;
}

export function emptyDisk(): FakeDisk {
  return {
    networks: new Map(),
    pools: new Map(),
    endpoints: new Map(),
    replicas: new Map(),
    blocks: new Map(),
  };
}

/** As a process finds it at its start, and changes it as long as it lives. */
export function ledgerOn(disk: FakeDisk, life: Life): Ledger {
  return {
    networks: items(disk.networks, life),
    pools: items(disk.pools, life),
    endpoints: items(disk.endpoints, life),
    replicas: items(disk.replicas, life),
    blocks: items(disk.blocks, life),
  };
}

function items<T extends { readonly id: string }>(onDisk: Map<string, T>, life: Life): Items<T> {
  const known = new Map(onDisk);
  return {
    get: (id) => known.get(id),
    all: () => [...known.values()],
    damaged: () => [],
    async put(item) {
      known.set(item.id, item);
      await life.step(async () => void onDisk.set(item.id, item));
    },
    async delete(id) {
      known.delete(id);
      await life.step(async () => void onDisk.delete(id));
    },
  };
}
