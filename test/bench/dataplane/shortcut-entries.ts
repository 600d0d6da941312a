/** What the shortcut costs with many endpoints: its maps are filled up with entries that no packet matches. */
import { closeSync } from 'node:fs';
import { encodeEntry, encodeKey, type MapKind, mapShapes } from '../../../src/kernel/bpf/entry.ts';
import { mapIdsOf, openMap, putElement } from '../../../src/kernel/bpf/object.ts';
import { parseAddress, printAddress } from '../../../src/model/address.ts';
import type { Host } from '../../lab/host.ts';

const lengths = { port: 32, prefix: 28 } as const satisfies Record<MapKind, number>;
const kinds = ['port', 'prefix'] as const;

/** @throws Error where the host has no shortcut */
export async function fillShortcut(host: Host, count: number): Promise<void> {
  const filters = await host.exec(['tc', 'filter', 'show', 'dev', 'eth0', 'ingress']);
  const ids = mapIdsOf(Number(/ weft-in-.* id (\d+)/.exec(filters)?.[1]), kinds.length);
  for (const kind of kinds) {
    const map = openOne(ids, kind);
    if (map === undefined) throw new Error(`${host.name} has no shortcut for packets of other hosts`);
    for (let index = 0; index < count; index += 1) {
      const destination = `${addressOf(index)}/${lengths[kind]}`;
      const entry = { destination, link: '', network: '0'.repeat(16), mtu: 1500 };
      putElement(map, encodeKey(kind, destination), encodeEntry(entry, 0));
    }
    closeSync(map);
  }
}

/** Close behind the addresses that are measured, so that a look-up of these has as long a way as among a pool's blocks. */
function addressOf(index: number): string {
  const { family, value } = parseAddress('10.77.1.0');
  return printAddress({ family, value: value + 16n * BigInt(index) });
}

/** As a descriptor. */
function openOne(ids: readonly number[], kind: MapKind): number | undefined {
  for (const id of ids) {
    const map = openMap(id, mapShapes[kind]);
    if (map !== undefined) return map;
  }
  return undefined;
}
