import { describe, expect, test } from 'vitest';
import {
  asInstalled,
  type InstalledNftTable,
  type NftTable,
  renderNftRemoval,
  renderNftTable,
  renderNftUpdate,
} from '../../../src/kernel/nft.ts';
import { parseNftTable } from '../../../src/kernel/nft-listing.ts';

const table: NftTable = {
  family: 'inet',
  name: 'weft',
  sets: [
    { name: 'pools', type: ['ipv4_addr'], interval: true, elements: ['10.77.0.0/16', '10.78.0.1/32'] },
    {
      name: 'within',
      type: ['ipv6_addr', 'ipv6_addr'],
      interval: true,
      elements: ['fd77::/64 . fd77::1/128'],
    },
    { name: 'sources', type: ['ifname', 'ipv4_addr'], interval: false, elements: ['"weft0a" . 10.77.0.5'] },
    { name: 'none', type: ['ipv4_addr'], interval: false, elements: [] },
  ],
  chains: [
    {
      name: 'forward',
      base: { type: 'filter', hook: 'forward', priority: -10, policy: 'accept' },
      rules: ['ip saddr @pools jump strangers', 'counter'],
    },
    { name: 'strangers', rules: ['drop'] },
  ],
};

/** As nft 1.0.6 lists that table. */
const listing = {
  nftables: [
    { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } },
    { table: { family: 'inet', name: 'weft', handle: 2 } },
    {
      set: {
        family: 'inet',
        name: 'pools',
        table: 'weft',
        type: 'ipv4_addr',
        handle: 1,
        flags: ['interval'],
        elem: [{ prefix: { addr: '10.77.0.0', len: 16 } }, '10.78.0.1'],
      },
    },
    {
      set: {
        family: 'inet',
        name: 'within',
        table: 'weft',
        type: ['ipv6_addr', 'ipv6_addr'],
        handle: 2,
        flags: ['interval'],
        elem: [{ concat: [{ prefix: { addr: 'fd77::', len: 64 } }, 'fd77::1'] }],
      },
    },
    {
      set: {
        family: 'inet',
        name: 'sources',
        table: 'weft',
        type: ['ifname', 'ipv4_addr'],
        handle: 3,
        elem: [{ elem: { val: { concat: ['weft0a', '10.77.0.5'] }, comment: 'x' } }],
      },
    },
    { set: { family: 'inet', name: 'none', table: 'weft', type: 'ipv4_addr', handle: 9 } },
    {
      chain: {
        family: 'inet',
        table: 'weft',
        name: 'forward',
        handle: 4,
        type: 'filter',
        hook: 'forward',
        prio: -10,
        policy: 'accept',
      },
    },
    { chain: { family: 'inet', table: 'weft', name: 'strangers', handle: 5 } },
    {
      rule: { family: 'inet', table: 'weft', chain: 'forward', handle: 6, comment: 'e91cced18586', expr: [] },
    },
    {
      rule: { family: 'inet', table: 'weft', chain: 'forward', handle: 7, comment: 'efe899c74558', expr: [] },
    },
    {
      rule: {
        family: 'inet',
        table: 'weft',
        chain: 'strangers',
        handle: 8,
        comment: 'd90ee9ccf6be',
        expr: [],
      },
    },
  ],
};

function parsed(change: (listing: { nftables: object[] }) => void = () => {}): InstalledNftTable | undefined {
  const copy = structuredClone(listing);
  change(copy);
  return parseNftTable(JSON.stringify(copy));
}

test('the whole table is replaced in one transaction', () => {
  expect(renderNftTable(table)).toMatchInlineSnapshot(`
    "add table inet weft
    delete table inet weft
    table inet weft {
      set pools { typeof ip saddr; flags interval; elements = { 10.77.0.0/16, 10.78.0.1/32 }; }
      set within { type ipv6_addr . ipv6_addr; flags interval; elements = { fd77::/64 . fd77::1/128 }; }
      set sources { type ifname . ipv4_addr; elements = { "weft0a" . 10.77.0.5 }; }
      set none { typeof ip saddr; }
      chain forward {
        type filter hook forward priority -10; policy accept;
        ip saddr @pools jump strangers comment "e91cced18586"
        counter comment "efe899c74558"
      }
      chain strangers {
        drop comment "d90ee9ccf6be"
      }
    }
    "
  `);
});

test('a set is told by expressions where a type has no width of its own', () => {
  const set = { name: 'targets', type: ['ifname', 'ether_addr', 'integer'], interval: false, elements: [] };
  expect(renderNftTable({ ...table, sets: [set], chains: [] })).toContain(
    'set targets { typeof iifname . ether saddr . @th,64,128; }',
  );
});

test('is removed whether or not it is there', () => {
  expect(renderNftRemoval(table)).toBe('add table inet weft\ndelete table inet weft\n');
});

describe('the table that nft lists', () => {
  test('is known by its rules’ fingerprints and its elements', () => {
    expect(parsed()).toEqual(asInstalled(table));
    expect(parsed()?.sets[0]?.elements).toEqual(new Set(['10.77.0.0/16', '10.78.0.1']));
  });

  test('needs nothing when it is as desired', () => {
    expect(renderNftUpdate(parsed(), table)).toBeUndefined();
    expect(renderNftUpdate(asInstalled(table), table)).toBeUndefined();
  });

  test('is known however the version of nft tells a type', () => {
    const typeOf = { typeof: { payload: { protocol: 'ip', field: 'saddr' } } };
    const newer = JSON.stringify(listing).replaceAll(
      '"type":"ipv4_addr"',
      `"type":${JSON.stringify(typeOf)}`,
    );
    expect(newer).toContain('typeof');
    expect(parseNftTable(newer)).toEqual(parsed());

    const fields = [
      { meta: { key: 'iifname' } },
      { payload: { protocol: 'ether', field: 'saddr' } },
      { payload: { base: 'th', offset: 64, len: 128 } },
    ];
    const set = {
      family: 'inet',
      name: 'targets',
      table: 'weft',
      type: { typeof: { concat: fields } },
      handle: 9,
    };
    const found = parsed(({ nftables }) => nftables.push({ set }));
    expect(found?.sets.at(-1)?.type).toEqual(['ifname', 'ether_addr', 'integer']);
  });

  test('may hold maps, with protocols by name', () => {
    const map = {
      family: 'inet',
      name: 'ports',
      table: 'weft',
      type: ['inet_proto', 'inet_service'],
      handle: 9,
      elem: [[{ concat: ['tcp', 8080] }, { concat: ['10.77.0.3', 90] }]],
    };
    for (const data of ['ipv4_addr . inet_service', ['ipv4_addr', 'inet_service']]) {
      const found = parsed(({ nftables }) => nftables.push({ map: { ...map, map: data } }));
      expect(found?.sets.at(-1)).toEqual({
        name: 'ports',
        type: ['inet_proto', 'inet_service'],
        data: ['ipv4_addr', 'inet_service'],
        interval: false,
        elements: new Set(['6 . 8080 : 10.77.0.3 . 90']),
      });
    }
  });

  test('is none where nothing of weft’s is listed', () => {
    expect(parseNftTable('{"nftables": [{"metainfo": {}}]}')).toBeUndefined();
  });

  test('is refused when it is no listing', () => {
    expect(() => parseNftTable('Error: out of memory')).toThrow(/nft listed its table in a form/);
    expect(() => parseNftTable('{"nftables": [{"set": {"name": 7}}]}')).toThrow(
      /nft listed its table in a form/,
    );
  });
});

describe('a difference', () => {
  const withElements = (name: string, elements: string[]): NftTable => ({
    ...table,
    sets: table.sets.map((set) => (set.name === name ? { ...set, elements } : set)),
  });

  test('in elements alone touches only those', () => {
    expect(renderNftUpdate(parsed(), withElements('pools', ['10.77.0.0/16', '10.79.0.0/16']))).toBe(
      'delete element inet weft pools { 10.78.0.1 }\nadd element inet weft pools { 10.79.0.0/16 }\n',
    );
  });

  test('in many prefixes that are to go replaces the table, in many others not', () => {
    const many = Array.from({ length: 100 }, (_, n) => `10.80.${n}.1`);
    const prefixes = many.map((address) => `${address}/32`);
    const update = (from: NftTable) => renderNftUpdate(asInstalled(from), table);
    expect(update(withElements('pools', [...prefixes, '10.77.0.0/16']))).toBe(renderNftTable(table));
    expect(update(withElements('none', many))).toBe(`delete element inet weft none { ${many.join(', ')} }\n`);
    const wanted = withElements('pools', [...prefixes, '10.77.0.0/16', '10.78.0.1/32']);
    expect(renderNftUpdate(parsed(), wanted)).toMatch(/^add element inet weft pools/);
  });

  test.each<[string, NftTable]>([
    ['a rule changed', { ...table, chains: table.chains.map((chain) => ({ ...chain, rules: ['accept'] })) }],
    [
      'rules in another order',
      { ...table, chains: table.chains.map((chain) => ({ ...chain, rules: chain.rules.toReversed() })) },
    ],
    ['a chain more', { ...table, chains: [...table.chains, { name: 'more', rules: [] }] }],
    ['a set less', { ...table, sets: table.sets.slice(1) }],
    ['a set of another type', { ...table, sets: table.sets.map((set) => ({ ...set, interval: false })) }],
    [
      'another priority',
      {
        ...table,
        chains: table.chains.map((chain) =>
          chain.base ? { ...chain, base: { ...chain.base, priority: 0 } } : chain,
        ),
      },
    ],
  ])('otherwise replaces the table: %s', (_what, desired) => {
    expect(renderNftUpdate(parsed(), desired)).toBe(renderNftTable(desired));
  });

  test('of a rule that weft did not write replaces the table', () => {
    const meddled = parsed(({ nftables }) =>
      nftables.push({ rule: { family: 'inet', table: 'weft', chain: 'strangers', handle: 9, expr: [] } }),
    );
    expect(renderNftUpdate(meddled, table)).toBe(renderNftTable(table));
  });

  test('from no table at all is the whole table', () => {
    expect(renderNftUpdate(undefined, table)).toBe(renderNftTable(table));
  });
});
