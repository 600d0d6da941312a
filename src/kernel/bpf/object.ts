/** Maps and programs in the kernel, as descriptors (union bpf_attr, linux/bpf.h). The kernel keeps what is in use. */
import { closeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { WeftError } from '../../errors.ts';
import { EAGAIN, ENOENT, errnoName } from '../errno.ts';
import { readText } from '../netlink/attribute.ts';
import { bpf, type PointedAt } from '../syscalls.ts';

const command = {
  createMap: 0,
  lookUp: 1,
  update: 2,
  delete: 3,
  nextKey: 4,
  loadProgram: 5,
  programById: 13,
  mapById: 14,
  info: 15,
} as const;

export interface MapShape {
  /** At most 15 bytes. */
  readonly name: string;
  readonly kind: 'hash' | 'prefixes';
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly mostEntries: number;
}

const mapTypes = { hash: 1, prefixes: 11 } as const;
const BPF_F_NO_PREALLOC = 1;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const instructionBytes = 8;
/** The kernel gives up its look at a program when a signal comes for who asks (kernel/bpf/verifier.c, do_check). */
const loadAttempts = 10;
/** Where in what the kernel is told the name of an object stands. */
const nameOffset = { map: 28, program: 48 } as const;
/** As much of what the kernel tells of an object as weft reads, and where: struct bpf_prog_info, struct bpf_map_info. */
const infoBytes = 80;
const programInfo = { mapCount: 52, mapIds: 56 } as const;
const mapInfo = { type: 0, id: 4, keyBytes: 8, valueBytes: 12, name: 24 } as const;

/** @throws WeftError `kernel` */
export function createMap({ name, kind, keyBytes, valueBytes, mostEntries }: MapShape): number {
  const fields = attributes(mapTypes[kind], keyBytes, valueBytes, mostEntries, BPF_F_NO_PREALLOC);
  fields.write(name, nameOffset.map);
  return succeed(`make the map ${name}`, bpf(command.createMap, fields, []));
}

/** @throws WeftError `kernel` */
export function putElement(map: number, key: Buffer, value: Buffer): void {
  succeed('write to a map', ask(command.update, map, key, value));
}

/** What is not there is no error. @throws WeftError `kernel` */
export function deleteElement(map: number, key: Buffer): void {
  const result = ask(command.delete, map, key);
  if (result !== -ENOENT) succeed('delete from a map', result);
}

/** Keys and values; of what is changed meanwhile, some may be missing. */
export function elements(map: number, { keyBytes, valueBytes }: MapShape): (readonly [Buffer, Buffer])[] {
  const found: (readonly [Buffer, Buffer])[] = [];
  let last: Buffer | undefined;
  for (;;) {
    const [key, value] = [Buffer.alloc(keyBytes), Buffer.alloc(valueBytes)];
    if (ask(command.nextKey, map, last, key) < 0) return found;
    if (ask(command.lookUp, map, key, value) >= 0) found.push([key, value]);
    last = key;
  }
}

/** @throws WeftError `kernel` where the kernel does not take it */
export function loadProgram(name: string, instructions: Buffer): number {
  const fields = attributes(BPF_PROG_TYPE_SCHED_CLS, instructions.length / instructionBytes);
  fields.write(name, nameOffset.program);
  const pointers = [
    { at: 8, bytes: instructions },
    { at: 16, bytes: Buffer.from('Apache-2.0\0') },
  ];
  let result = -EAGAIN;
  for (let attempt = 0; attempt < loadAttempts && result === -EAGAIN; attempt++) {
    result = bpf(command.loadProgram, fields, pointers);
  }
  return succeed(`load the program ${name}`, result);
}

/** By their ids, which are of no others until the next boot; none where the program is gone. */
export function mapIdsOf(programId: number, most: number): number[] {
  const program = bpf(command.programById, attributes(programId), []);
  if (program < 0) return [];
  try {
    const ids = Buffer.alloc(4 * most);
    const info = Buffer.alloc(infoBytes);
    info.writeUInt32LE(most, programInfo.mapCount);
    tell(program, info, [{ at: programInfo.mapIds, bytes: ids }]);
    const count = Math.min(most, info.readUInt32LE(programInfo.mapCount));
    return Array.from({ length: count }, (_, position) => ids.readUInt32LE(4 * position));
  } finally {
    closeSync(program);
  }
}

export function mapIdOf(map: number): number {
  const info = Buffer.alloc(infoBytes);
  tell(map, info, []);
  return info.readUInt32LE(mapInfo.id);
}

/** A descriptor of the map, if it is of that shape. */
export function openMap(id: number, { name, kind, keyBytes, valueBytes }: MapShape): number | undefined {
  const map = bpf(command.mapById, attributes(id), []);
  if (map < 0) return undefined;
  const info = Buffer.alloc(infoBytes);
  tell(map, info, []);
  const found = [mapInfo.type, mapInfo.keyBytes, mapInfo.valueBytes].map((at) => info.readUInt32LE(at));
  const isOne = readText(info.subarray(mapInfo.name)) === name;
  if (isOne && isDeepStrictEqual(found, [mapTypes[kind], keyBytes, valueBytes])) return map;
  closeSync(map);
  return undefined;
}

function tell(object: number, info: Buffer, pointers: readonly PointedAt[]): void {
  const result = bpf(command.info, attributes(object, info.length), [{ at: 8, bytes: info, pointers }]);
  succeed('ask about a program', result);
}

function ask(verb: number, map: number, key: Buffer | undefined, value?: Buffer): number {
  const pointers = [
    ...(key === undefined ? [] : [{ at: 8, bytes: key }]),
    ...(value === undefined ? [] : [{ at: 16, bytes: value }]),
  ];
  return bpf(verb, attributes(map), pointers);
}

/** What the kernel does not know is zero, and need not be there for it (bpf_check_uarg_tail_zero). */
function attributes(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(120);
  for (const [position, number] of numbers.entries()) bytes.writeUInt32LE(number, 4 * position);
  return bytes;
}

function succeed(purpose: string, result: number): number {
  if (result >= 0) return result;
  throw new WeftError('kernel', `could not ${purpose}: bpf: ${errnoName(-result)}`);
}
