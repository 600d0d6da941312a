/** What weft's shortcut costs with many endpoints: the maps of a host are filled up with entries that no packet matches. */
import { closeSync } from 'node:fs';
import { encodeEntry, encodeKey, type MapKind, mapShapes } from '../../../src/kernel/bpf/entry.ts';
import { deleteElement, mapIdsOf, openMap, putElement } from '../../../src/kernel/bpf/object.ts';
import { parseAddress, printAddress } from '../../../src/model/address.ts';
import type { Host } from '../../lab/host.ts';

const lengths = { port: 32, prefix: 28 } as const satisfies Record<MapKind, number>;
const kinds = ['port', 'prefix'] as const;

/** Answers what takes them out again. @throws Error where the host has no shortcut */
export async function fillShortcut(host: Host, count: number): Promise<() => void> {
  const maps = await mapsOf(host);
  const entries = Array.from({ length: count }, (_, index) => {
    return kinds.map((kind) => {
      const destination = `${addressOf(index)}/${lengths[kind]}`;
      const entry = encodeEntry({ destination, link: '', network: '0'.repeat(16), mtu: 1500 }, 0);
      return { map: maps[kind], key: encodeKey(kind, destination), entry };
    });
  }).flat();
  for (const { map, key, entry } of entries) putElement(map, key, entry);
  return () => {
    for (const { map, key } of entries) deleteElement(map, key);
    for (const kind of kinds) closeSync(maps[kind]);
  };
}

/** Close behind the addresses that are measured, so that a look-up of these has as long a way as among a pool's blocks. */
function addressOf(index: number): string {
  const { family, value } = parseAddress('10.77.1.0');
  return printAddress({ family, value: value + 16n * BigInt(index) });
}

/** As descriptors. */
async function mapsOf(host: Host): Promise<Record<MapKind, number>> {
  const filters = await host.exec(['tc', 'filter', 'show', 'dev', 'eth0', 'ingress']);
  const ids = mapIdsOf(Number(/ weft-in-.* id (\d+)/.exec(filters)?.[1]), kinds.length);
  const open = (kind: MapKind) => {
    for (const id of ids) {
      const map = openMap(id, mapShapes[kind]);
      if (map !== undefined) return map;
    }
    throw new Error(`${host.name} has no shortcut for packets of other hosts`);
  };
  return { port: open('port'), prefix: open('prefix') };
}
