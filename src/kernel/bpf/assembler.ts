/**
 * An assembler for the kernel's virtual machine: a program is a list of statements, and jumps name where they lead. What
 * it comes to is laid down in Documentation/bpf/standardization/instruction-set.rst.
 *
 * A call answers in r0, takes r1 to r5, and leaves r6 to r9 as they are; fp is the end of 512 bytes of stack.
 */
import { WeftError } from '../../errors.ts';

const registers = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9', 'fp'] as const;
export type Register = (typeof registers)[number];
/** Of bytes. */
export type Size = 1 | 2 | 4 | 8;
/** A number has 32 bits, and its sign is extended. */
export type Operand = Register | number;

interface Instruction {
  readonly code: number;
  readonly to?: Register;
  readonly from?: Register;
  readonly offset?: number;
  readonly immediate?: number;
  readonly target?: string;
  /** Name of the map whose descriptor the immediate is to be; such an instruction is two words long. */
  readonly map?: string;
}
export type Statement = Instruction | { readonly label: string };

const sizeCodes = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const satisfies Record<Size, number>;
const arithmetic = { '+': 0x07, '&': 0x57, '<<': 0x67, '>>': 0x77, '=': 0xb7 } as const;
const comparisons = { '==': 0x15, '>': 0x25, '>=': 0x35, '&': 0x45, '!=': 0x55, '<': 0xa5 } as const;
const fromRegister = 0x08;
const BPF_LDX_MEM = 0x61;
const BPF_ST_MEM = 0x62;
const BPF_STX_MEM = 0x63;
const BPF_LD_IMM64 = 0x18;
const BPF_PSEUDO_MAP_FD = 1;
const wordBytes = 8;

export function label(name: string): Statement {
  return { label: name };
}

/** `compute('r1', '+', 4)`: of 64 bits, into the first. */
export function compute(to: Register, operation: keyof typeof arithmetic, operand: Operand): Statement {
  return withOperand({ code: arithmetic[operation], to }, operand);
}

export function set(to: Register, operand: Operand): Statement {
  return compute(to, '=', operand);
}

export function load(size: Size, to: Register, from: Register, offset: number): Statement {
  return { code: BPF_LDX_MEM | sizeCodes[size], to, from, offset };
}

export function store(size: Size, to: Register, offset: number, operand: Operand): Statement {
  if (typeof operand === 'number') {
    return { code: BPF_ST_MEM | sizeCodes[size], to, offset, immediate: operand };
  }
  return { code: BPF_STX_MEM | sizeCodes[size], to, from: operand, offset };
}

export function loadMap(to: Register, map: string): Statement {
  return { code: BPF_LD_IMM64, to, map };
}

export function jump(target: string): Statement {
  return { code: 0x05, target };
}

/** Compares 64 bits without sign; `&`: whether any of these bits is set. */
export function jumpIf(
  left: Register,
  comparison: keyof typeof comparisons,
  right: Operand,
  target: string,
): Statement {
  return withOperand({ code: comparisons[comparison], to: left, target }, right);
}

export function call(helper: number): Statement {
  return { code: 0x85, immediate: helper };
}

export const exit: Statement = { code: 0x95 };

function withOperand(instruction: Instruction, operand: Operand): Instruction {
  if (typeof operand === 'number') return { ...instruction, immediate: operand };
  return { ...instruction, code: instruction.code | fromRegister, from: operand };
}

/**
 * @param maps descriptors by name
 * @throws WeftError `internal` for a label or map that is not there
 */
export function assemble(program: readonly Statement[], maps: Readonly<Record<string, number>>): Buffer {
  const positions = new Map<string, number>();
  let words = 0;
  for (const statement of program) {
    if ('label' in statement) positions.set(statement.label, words);
    else words += wordsOf(statement);
  }
  const bytes = Buffer.alloc(words * wordBytes);
  let position = 0;
  for (const statement of program) {
    if ('label' in statement) continue;
    const next = position + wordsOf(statement);
    const { code, to = 'r0', from = 'r0', offset = 0, immediate = 0, target, map } = statement;
    const isMap = map !== undefined;
    const source = isMap ? BPF_PSEUDO_MAP_FD : registers.indexOf(from);
    const at = position * wordBytes;
    bytes.writeUInt8(code, at);
    bytes.writeUInt8(registers.indexOf(to) | (source << 4), at + 1);
    bytes.writeInt16LE(target === undefined ? offset : known(positions, target) - next, at + 2);
    bytes.writeInt32LE(isMap ? known(new Map(Object.entries(maps)), map) : immediate, at + 4);
    position = next;
  }
  return bytes;
}

function wordsOf({ map }: Instruction): number {
  return map === undefined ? 1 : 2;
}

function known(numbers: ReadonlyMap<string, number>, name: string): number {
  const number = numbers.get(name);
  if (number !== undefined) return number;
  throw new WeftError('internal', `a program for the kernel names ${name}, which is not there`);
}
