/** The packet filter as others see and change it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NftTable } from '../../src/kernel/nft.ts';
import { type Host, openHost } from './host.ts';

const table: NftTable = {
  family: 'inet',
  name: 'weft',
  sets: [
    { name: 'one', type: ['ifname'], interval: false, elements: [] },
    { name: 'two', type: ['ipv6_addr'], interval: false, elements: [] },
    { name: 'three', type: ['ifname', 'ether_addr', 'ipv6_addr'], interval: false, elements: [] },
    { name: 'four', type: ['ifname', 'ether_addr', 'integer'], interval: false, elements: [] },
  ],
  chains: [],
};
const changes = [
  { set: { name: 'one', type: ['ifname'] }, elements: ['weft0ah'] },
  { set: { name: 'two', type: ['ipv6_addr'] }, elements: ['fd77::5'] },
  {
    set: { name: 'three', type: ['ifname', 'ether_addr', 'ipv6_addr'] },
    elements: ['weft0ah . 02:57:0a:4d:00:02 . fd77::5'],
  },
  {
    set: { name: 'four', type: ['ifname', 'ether_addr', 'integer'] },
    elements: ['weft0ah . 02:57:0a:4d:00:02 . 0xfd770000000000000000000000000005'],
  },
];

let host: Host;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

test('nft reads the elements that were put without it', async () => {
  const filter = host.kernel.host.filters.inet;
  await filter.write(() => table);
  await filter.put(changes);
  const listing = host.run('nft list table inet weft');
  expect(listing).toContain('elements = { "weft0ah" }');
  expect(listing).toContain('elements = { fd77::5 }');
  expect(listing).toContain('elements = { "weft0ah" . 02:57:0a:4d:00:02 . fd77::5 }');
  expect((await filter.read())?.sets[3]?.elements).toEqual(new Set(changes[3]?.elements));
});

test('what others took away is put back, what they did elsewhere left alone', async () => {
  const filter = host.kernel.host.filters.inet;
  const filled = {
    ...table,
    sets: table.sets.map((set, n) => ({ ...set, elements: changes[n]?.elements ?? [] })),
  };
  await filter.write(() => filled);
  host.run('nft add table inet theirs');
  expect(await filter.write(() => filled)).toBe(false);
  host.run('nft flush set inet weft two');
  expect(await filter.write(() => filled)).toBe(true);
  host.run('nft flush ruleset');
  expect(await filter.write(() => filled)).toBe(true);
  expect(host.run('nft list table inet weft')).toContain('elements = { fd77::5 }');
});

test('elements put while the table is being written are not lost', async () => {
  const filter = host.kernel.host.filters.inet;
  await filter.write(() => table);
  const elements = Array.from({ length: 30 }, (_, n) => `weft${n}h`);
  const present: string[] = [];
  const wanted = (rules: readonly string[]): NftTable => ({
    ...table,
    sets: table.sets.map((set) => (set.name === 'one' ? { ...set, elements: [...present] } : set)),
    chains: [{ name: 'changing', rules }],
  });
  await Promise.all(
    elements.map(async (element, n) => {
      present.push(element);
      const rules = Array.from({ length: n }, () => 'counter');
      await Promise.all([
        n % 5 === 0 ? filter.write(() => wanted(rules)) : undefined,
        filter.put([{ set: { name: 'one', type: ['ifname'] }, elements: [element] }]),
      ]);
    }),
  );
  await filter.write(() => wanted(['counter']));
  const [one] = (await filter.read())?.sets ?? [];
  expect(one?.elements).toEqual(new Set(elements));
});
