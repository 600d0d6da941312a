import { describe, expect, test } from 'vitest';
import { hostTable } from '../../../src/fabric/host-table.ts';
import { segmentTable, sendersOf } from '../../../src/fabric/senders.ts';
import { hostEnd } from '../../../src/model/names.ts';
import { endpoint, network, tunnels, view } from './views.ts';

const blue = { ...network, pools: ['10.77.0.0/16', '10.78.0.0/24', 'fd77::/64'] };
const red = { ...network, key: 'red', pools: ['10.79.0.0/24'], isolate: false };
const closed = { ...network, key: 'closed', pools: ['10.76.0.0/24'], internal: true };

const few = {
  underlay: view().underlay,
  ...{ networks: [blue], segments: [], uplinks: ['eth0'], tunnelInUse: false, endpoints: [] },
  ways: { sources: [], publications: [] },
  tunnels,
};

const elements = (name: string) =>
  hostTable({ ...few, networks: [blue, red, closed] }).sets.find((set) => set.name === name)?.elements;

test('knows every subnet, and between which of them packets may pass', () => {
  expect(elements('pools4')).toEqual(['10.77.0.0/16', '10.78.0.0/24', '10.79.0.0/24', '10.76.0.0/24']);
  expect(elements('within4')).toEqual([
    '10.77.0.0/16 . 10.77.0.0/16',
    '10.77.0.0/16 . 10.78.0.0/24',
    '10.78.0.0/24 . 10.77.0.0/16',
    '10.78.0.0/24 . 10.78.0.0/24',
    '10.79.0.0/24 . 10.79.0.0/24',
    '10.76.0.0/24 . 10.76.0.0/24',
  ]);
  expect(elements('pools6')).toEqual(['fd77::/64']);
  expect(elements('within6')).toEqual(['fd77::/64 . fd77::/64']);
});

test('knows which networks are open to each other, which have no way out, and which links lead to hosts', () => {
  expect(elements('open4')).toEqual(['10.79.0.0/24']);
  expect(elements('internal4')).toEqual(['10.76.0.0/24']);
  expect(elements('uplinks')).toEqual(['eth0']);
});

describe('a sender', () => {
  const sender = { ...endpoint('h1', '10.77.0.2'), addresses: ['10.77.0.2', 'fd77::2'] };
  const link = hostEnd(sender.id);

  test('is known by its link, MAC and addresses', () => {
    expect(sendersOf(sender).map(({ set, elements }) => [set.name, elements])).toEqual([
      ['ports', [`${link} . 02:57:0a:4d:00:02`]],
      ['senders4', [`${link} . 02:57:0a:4d:00:02 . 10.77.0.2`]],
      [
        'senders6',
        [`${link} . 02:57:0a:4d:00:02 . fd77::2`, `${link} . 02:57:0a:4d:00:02 . fe80::57:aff:fe4d:2`],
      ],
      [
        'targets6',
        [
          `${link} . 02:57:0a:4d:00:02 . 0xfd770000000000000000000000000002`,
          `${link} . 02:57:0a:4d:00:02 . 0xfe8000000000000000570afffe4d0002`,
        ],
      ],
    ]);
  });

  test('has no address of its own making where it has none of that family', () => {
    expect(sendersOf({ ...sender, addresses: ['10.77.0.2'] }).map(({ set }) => set.name)).toEqual([
      'ports',
      'senders4',
    ]);
  });

  test('is in the table of its fabric', () => {
    const tables = [segmentTable([sender]), hostTable({ ...few, networks: [blue], endpoints: [sender] })];
    for (const { sets } of tables) {
      for (const { set, elements } of sendersOf(sender)) {
        expect(sets).toContainEqual({ ...set, interval: false, elements });
      }
    }
  });
});

test('has as many rules for many networks and endpoints as for one', () => {
  const many = Array.from({ length: 100 }, (_, n) => n);
  const networks = many.map((n) => ({ ...network, key: `n${n}`, pools: [`10.80.${n}.0/24`] }));
  const endpoints = many.map((n) => endpoint('h1', `10.77.0.${n}`));
  expect(hostTable({ ...few, networks, endpoints }).chains).toEqual(hostTable(few).chains);
  expect(segmentTable(endpoints).chains).toEqual(segmentTable([]).chains);
});
