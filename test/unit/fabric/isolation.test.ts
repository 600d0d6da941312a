import { expect, test } from 'vitest';
import { isolationTable } from '../../../src/fabric/isolation.ts';
import { network } from './views.ts';

const blue = { ...network, pools: ['10.77.0.0/16', '10.78.0.0/24'] };
const red = { ...network, key: 'red', pools: ['10.79.0.0/24'] };

const elements = (name: string, networks = [blue, red]) =>
  isolationTable(networks).sets.find((set) => set.name === name)?.elements;

test('knows every subnet, and between which of them packets may pass', () => {
  expect(elements('pools4')).toEqual(['10.77.0.0/16', '10.78.0.0/24', '10.79.0.0/24']);
  expect(elements('within4')).toEqual([
    '10.77.0.0/16 . 10.77.0.0/16',
    '10.77.0.0/16 . 10.78.0.0/24',
    '10.78.0.0/24 . 10.77.0.0/16',
    '10.78.0.0/24 . 10.78.0.0/24',
    '10.79.0.0/24 . 10.79.0.0/24',
  ]);
  expect(elements('pools6')).toEqual([]);
});

test('has as many rules for many networks as for one', () => {
  const rules = (networks: (typeof blue)[]) =>
    isolationTable(networks).chains.flatMap((chain) => chain.rules);
  const many = Array.from({ length: 100 }, (_, n) => ({
    ...network,
    key: `n${n}`,
    pools: [`10.80.${n}.0/24`],
  }));
  expect(rules(many)).toEqual(rules([blue]));
});
