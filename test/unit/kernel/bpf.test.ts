import { describe, expect, test } from 'vitest';
import {
  assemble,
  call,
  compute,
  exit,
  jump,
  jumpIf,
  label,
  load,
  loadMap,
  set,
  store,
} from '../../../src/kernel/bpf/assembler.ts';
import { decodeEntry, decodeKey, encodeEntry, encodeKey } from '../../../src/kernel/bpf/entry.ts';
import type { ShortcutEntry } from '../../../src/kernel/state.ts';

/** A line an instruction, as `bpftool prog dump xlated opcodes` shows it. */
function hex(program: Buffer): string[] {
  return program.toString('hex').match(/.{16}/g) ?? [];
}

describe('the assembler', () => {
  test('writes what the kernel reads', () => {
    const program = [
      set('r6', 'r1'),
      load(4, 'r2', 'r6', 20),
      jumpIf('r2', '!=', 0, 'end'),
      store(2, 'fp', -2, 'r2'),
      store(8, 'fp', -16, -1),
      compute('r2', '+', -14),
      call(23),
      label('end'),
      exit,
    ];
    expect(hex(assemble(program, {}))).toEqual([
      'bf16000000000000',
      '6162140000000000',
      '5502040000000000',
      '6b2afeff00000000',
      '7a0af0ffffffffff',
      '07020000f2ffffff',
      '8500000017000000',
      '9500000000000000',
    ]);
  });

  test('counts a map as two words, also for the jumps over it', () => {
    const program = [jump('end'), loadMap('r1', 'ports'), label('end'), exit];
    expect(hex(assemble(program, { ports: 7 }))).toEqual([
      '0500020000000000',
      '1811000007000000',
      '0000000000000000',
      '9500000000000000',
    ]);
  });

  test('refuses a label or a map that is not there', () => {
    expect(() => assemble([jump('end')], {})).toThrow(/end/);
    expect(() => assemble([loadMap('r1', 'ports')], {})).toThrow(/ports/);
  });
});

describe('what the programs look up', () => {
  const entry: ShortcutEntry = {
    ...{ destination: '10.77.0.5/32', link: 'weft1h', network: '00112233445566ff', mtu: 1500 },
    mac: '02:57:0a:4d:00:05',
  };

  test.each(['10.77.0.64/26', '10.77.0.5/32', '0.0.0.0/0', 'fd77::40/122', '::/0', 'fd77::5/128'])(
    'is read back as it was written: %s',
    (destination) => expect(decodeKey('prefix', encodeKey('prefix', destination))).toBe(destination),
  );

  test('has an address of either family as one of IPv6', () => {
    expect(encodeKey('port', '10.77.0.5/32').toString('hex')).toBe('00000000000000000000ffff0a4d0005');
    expect(decodeKey('port', encodeKey('port', '10.77.0.5/32'))).toBe('10.77.0.5/32');
  });

  test.each([entry, { ...entry, mac: undefined }])('leads to a link: %o', ({ mac, ...rest }) => {
    const written = { ...rest, ...(mac === undefined ? {} : { mac }) };
    const names = new Map([[7, 'weft1h']]);
    const read = decodeEntry(entry.destination, encodeEntry(written, 7), (index) => names.get(index) ?? '');
    expect(read).toEqual(written);
  });
});
