/**
 * The shortcut of one namespace: programs at the entrance of its links, and the two maps that they share. Neither is
 * pinned anywhere: filters keep their programs, and these the maps, so a weft that comes back finds all by the filters.
 *
 * Invariant: the programs of all links have the same maps, so both directions of a connection go one way. A program of
 * another weft's is replaced where it is; its maps stay in use where they are of the shape that is known.
 */
import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { explain } from '../../errors.ts';
import { linkPrefix } from '../mark.ts';
import { decodeLink, dumpLinks, type KernelLink } from '../netlink/link.ts';
import type { Request } from '../netlink/message.ts';
import type { SocketPool } from '../netlink/socket.ts';
import {
  createClsact,
  decodeFilter,
  deleteFilter,
  getFilter,
  putFilter,
} from '../netlink/traffic-control.ts';
import type { NamespaceState, Shortcut, ShortcutEntry } from '../state.ts';
import { assemble } from './assembler.ts';
import { decodeEntry, decodeKey, encodeEntry, encodeKey, type MapKind, mapShapes } from './entry.ts';
import {
  createMap,
  deleteElement,
  elements,
  loadProgram,
  mapIdOf,
  mapIdsOf,
  openMap,
  putElement,
} from './object.ts';
import { type Medium, shortcutProgram } from './shortcut-program.ts';

export type ShortcutState = Pick<NamespaceState, 'shortcuts' | 'ports' | 'prefixes'>;
type Maps = Readonly<Record<MapKind, number>>;

const sides: readonly Shortcut['side'][] = ['out', 'in', 'door'];

/** Why this kernel takes no such programs; undefined: it does. */
export function shortcutObstacle(): string | undefined {
  const trial = new ShortcutAccess('routed');
  try {
    for (const side of sides) trial.program(side);
    return undefined;
  } catch (error) {
    return explain(error);
  } finally {
    trial.close();
  }
}

export class ShortcutAccess {
  readonly #medium: Medium;
  /** Of the filters that have today's programs. */
  readonly #names: Readonly<Record<Shortcut['side'], string>>;
  /** As descriptors. */
  #maps: Maps | undefined;
  readonly #programs = new Map<Shortcut['side'], number>();
  /** Whether an earlier weft's maps, if there are any, are known. */
  #looked = false;

  constructor(medium: Medium) {
    this.#medium = medium;
    this.#names = { out: nameOf(medium, 'out'), in: nameOf(medium, 'in'), door: nameOf(medium, 'door') };
  }

  /** To be awaited before anything is changed: new maps beside those in use would break the invariant. */
  async look(sockets: SocketPool): Promise<void> {
    if (!this.#looked) await this.read(sockets, await sockets.dump(dumpLinks(), decodeLink));
  }

  /** @param links all of the namespace */
  async read(sockets: SocketPool, links: readonly KernelLink[]): Promise<ShortcutState> {
    const answers = await sockets.ask(links.map(({ index }) => getFilter(index)));
    const filters = links.flatMap(({ name: link }, position) => {
      const filter = answers[position]?.content.map(decodeFilter)[0];
      return filter?.name.startsWith(linkPrefix) ? [{ link, ...filter }] : [];
    });
    const mapIds = new Map<number, readonly number[]>();
    for (const { programId } of filters) {
      if (!mapIds.has(programId)) mapIds.set(programId, mapIdsOf(programId, mapKinds.length));
    }
    for (const ids of mapIds.values()) this.#maps ??= adopt(ids);
    this.#looked = true;
    const maps = this.#maps;
    const own = maps === undefined ? [] : Object.values(maps).map(mapIdOf);
    const names = new Map(links.map(({ index, name }) => [index, name]));
    return {
      shortcuts: filters.map(({ link, name, programId }): Shortcut => {
        const side = sides.find((one) => name.startsWith(namePrefix(one))) ?? 'out';
        const ids = mapIds.get(programId) ?? [];
        const hasMaps = ids.length > 0 && ids.every((id) => own.includes(id));
        const isCurrent = hasMaps && name === this.#names[side];
        return { link, side, ...(isCurrent ? {} : { isOutdated: true }) };
      }),
      ports: maps === undefined ? [] : entriesOf('port', maps, names),
      prefixes: maps === undefined ? [] : entriesOf('prefix', maps, names),
    };
  }

  /** @throws WeftError `kernel` */
  attach(linkIndex: number, side: Shortcut['side']): Request[] {
    return [createClsact(linkIndex), putFilter(linkIndex, this.program(side), this.#names[side])];
  }

  /** What its filter hung on stays: it may be another's, and costs nothing. */
  detach(linkIndex: number): Request {
    return deleteFilter(linkIndex);
  }

  /** @throws WeftError `kernel` */
  put(kind: MapKind, entry: ShortcutEntry, linkIndex: number): void {
    putElement(this.#makeMaps()[kind], encodeKey(kind, entry.destination), encodeEntry(entry, linkIndex));
  }

  /** @throws WeftError `kernel` */
  delete(kind: MapKind, { destination }: ShortcutEntry): void {
    if (this.#maps !== undefined) deleteElement(this.#maps[kind], encodeKey(kind, destination));
  }

  /** As a descriptor. @throws WeftError `kernel` */
  program(side: Shortcut['side']): number {
    const loaded = this.#programs.get(side);
    if (loaded !== undefined) return loaded;
    const program = assemble(shortcutProgram(this.#medium, side), this.#makeMaps());
    const fd = loadProgram(`weft_${this.#medium}`, program);
    this.#programs.set(side, fd);
    return fd;
  }

  close(): void {
    for (const fd of [...this.#programs.values(), ...Object.values(this.#maps ?? {})]) closeSync(fd);
    this.#programs.clear();
    this.#maps = undefined;
    this.#looked = false;
  }

  #makeMaps(): Maps {
    this.#maps ??= { port: createMap(mapShapes.port), prefix: createMap(mapShapes.prefix) };
    return this.#maps;
  }
}

const mapKinds = ['port', 'prefix'] as const satisfies readonly MapKind[];

/** The name of its filter tells a program from that of another weft. */
function nameOf(medium: Medium, side: Shortcut['side']): string {
  const program = assemble(shortcutProgram(medium, side), { port: 0, prefix: 0 });
  const digest = createHash('sha256').update(program).digest('hex').slice(0, 16);
  return `${namePrefix(side)}${digest}`;
}

function namePrefix(side: Shortcut['side']): string {
  return `${linkPrefix}-${side}-`;
}

/** Those of a program that an earlier weft has left; undefined where they are of another shape. */
function adopt(ids: readonly number[]): Maps | undefined {
  const open = (kind: MapKind) => {
    for (const id of ids) {
      const map = openMap(id, mapShapes[kind]);
      if (map !== undefined) return map;
    }
    return undefined;
  };
  const [port, prefix] = [open('port'), open('prefix')];
  if (port !== undefined && prefix !== undefined) return { port, prefix };
  for (const map of [port, prefix]) if (map !== undefined) closeSync(map);
  return undefined;
}

/** A link that is gone has a name that no other has. */
function entriesOf(kind: MapKind, maps: Maps, names: ReadonlyMap<number, string>): ShortcutEntry[] {
  return elements(maps[kind], mapShapes[kind]).map(([key, value]) =>
    decodeEntry(decodeKey(kind, key), value, (index) => names.get(index) ?? `#${index}`),
  );
}
