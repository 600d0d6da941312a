import { expect, test } from 'vitest';
import { hostTable, segmentsOnlyTable } from '../../../src/fabric/host-table.ts';
import { tunnels, view } from './views.ts';

const { underlay } = view();
const mixed = { ...tunnels, hosts: ['10.9.0.2', 'fd09::3'] };
const few = { underlay, uplinks: ['eth0'], tunnels: mixed };
const ways = { sources: [], publications: [] };

test.each([
  ['of a host of segments alone', segmentsOnlyTable(few)],
  [
    'of any other',
    hostTable({ ...few, networks: [], segments: [], tunnelInUse: false, endpoints: [], ways }),
  ],
])('the table %s takes what is encapsulated from the other hosts only', (_of, { sets, chains }) => {
  const elements = (name: string) => sets.find((set) => set.name === name)?.elements;
  expect(elements('hosts4')).toEqual(['10.9.0.2']);
  expect(elements('hosts6')).toEqual(['fd09::3']);
  expect(elements('uplinks')).toEqual(['eth0']);
  const rules = chains.filter(({ name }) => name.startsWith('tunnels')).flatMap((chain) => chain.rules);
  expect(rules).toHaveLength(9);
  // Every set that they name is there.
  for (const [, name = ''] of rules.join().matchAll(/@(\w+)\b(?!,)/g)) {
    expect(sets.map((set) => set.name)).toContain(name);
  }
});
