import { expect, it } from 'vitest';
import { nearest } from '../../../src/model/nearest.ts';

const options = ['weft.network', 'weft.fabric', 'weft.vni', 'weft.mtu'];

it.each([
  ['weft.mut', 'weft.mtu'],
  ['weft.netwrok', 'weft.network'],
  ['weft.net', 'weft.network'],
  ['weft.Fabric', 'weft.fabric'],
  ['weft.vnii', 'weft.vni'],
  ['weft.mtu', 'weft.mtu'],
])('takes %s for %s', (word, meant) => {
  expect(nearest(word, options)).toBe(meant);
});

it.each(['weft.colour', 'mtu', '', 'weft.'])('does not guess what "%s" was meant to be', (word) => {
  expect(nearest(word, options)).toBeUndefined();
});

it('has nothing to suggest when there is nothing to choose from', () => {
  expect(nearest('weft.mtu', [])).toBeUndefined();
});
