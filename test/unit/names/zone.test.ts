/** What names of a network lead to. */
import { expect, test } from 'vitest';
import { type Named, reverseName, zoneOf } from '../../../src/names/zone.ts';

const web: Named = {
  names: ['web', 'www', '0123456789ab'],
  domain: 'blue',
  addresses: ['10.77.0.2', 'fd77::2'],
};
const spare: Named = { names: ['spare', 'www'], domain: 'blue', addresses: ['10.77.0.66'] };

test.each(['web', 'www', '0123456789ab', 'web.blue', 'WEB', 'Www.Blue'])('%s is found', (name) => {
  const zone = zoneOf([web]);
  expect(zone.has(name)).toBe(true);
  expect(zone.find(name, 'A')).toEqual(['10.77.0.2']);
  expect(zone.find(name, 'AAAA')).toEqual(['fd77::2']);
});

test.each(['we', 'web.', 'web.red', 'blue', '.blue', ''])('"%s" is nobody', (name) => {
  expect(zoneOf([web]).has(name)).toBe(false);
});

test('all containers behind a name are found', () => {
  expect(zoneOf([web, spare]).find('www', 'A')).toEqual(['10.77.0.2', '10.77.0.66']);
});

test('a name without an address of the family is known, and has none', () => {
  const zone = zoneOf([spare]);
  expect(zone.has('spare')).toBe(true);
  expect(zone.find('spare', 'AAAA')).toEqual([]);
});

test('an address has the name of its container, with that of the network', () => {
  const zone = zoneOf([web, spare]);
  expect(zone.find(reverseName('10.77.0.2'), 'PTR')).toEqual(['web.blue']);
  expect(zone.find(reverseName('fd77::2').toUpperCase(), 'PTR')).toEqual(['web.blue']);
  expect(zone.has(reverseName('10.77.0.3'))).toBe(false);
});

test('an address is asked for backwards', () => {
  expect(reverseName('10.77.0.2')).toBe('2.0.77.10.in-addr.arpa');
  expect(reverseName('fd77::2')).toBe(`2.${'0.'.repeat(27)}7.7.d.f.ip6.arpa`);
});

test('a name that cannot be asked for is left out, and the container found by its others', () => {
  const long = 'x'.repeat(64);
  const zone = zoneOf([{ ...web, names: [long, 'web'] }]);
  expect(zone.has(long)).toBe(false);
  expect(zone.find(reverseName('10.77.0.2'), 'PTR')).toEqual(['web.blue']);
});
