/**
 * weft's own nftables table: as data, as the text that `nft` takes, and from the JSON that it lists; pure.
 * nft prints rules otherwise than it was told them, so each bears a fingerprint of its text as its comment.
 */
import { createHash } from 'node:crypto';

/** A set that rules name as `@name`, or a map. */
export interface NftSet {
  readonly name: string;
  /** One type a field of the key: `['ipv4_addr']`, `['ifname', 'ipv4_addr']`. */
  readonly type: readonly string[];
  /** Of a map: what a key leads to, a type a field. */
  readonly data?: readonly string[];
  /** Whether elements may be prefixes; those must not overlap. */
  readonly interval: boolean;
  /** nft's text: `10.0.0.1`, `10.0.0.0/26`, `weft0a1b . 10.0.0.1`; of a map `6 . 8080 : 10.0.0.1 . 80`. */
  readonly elements: readonly string[];
}

interface ChainBase {
  readonly name: string;
  /** Absent in a chain that is only jumped to. */
  readonly base?: {
    readonly type: 'filter' | 'nat' | 'route';
    readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
  };
}

export interface NftChain extends ChainBase {
  /** nft's text, without comments: `ip saddr @blue drop`. */
  readonly rules: readonly string[];
}

export interface NftTable {
  /** `bridge` sees the frames between the ports of a bridge. */
  readonly family: 'inet' | 'bridge';
  readonly name: 'weft';
  readonly sets: readonly NftSet[];
  readonly chains: readonly NftChain[];
}

export interface InstalledNftChain extends ChainBase {
  /** Of its rules, in order; empty text where weft did not write the rule. */
  readonly fingerprints: readonly string[];
}

export interface InstalledNftSet extends Omit<NftSet, 'elements'> {
  /** As nft prints them. */
  readonly elements: Set<string>;
}

export interface InstalledNftTable extends Omit<NftTable, 'sets' | 'chains'> {
  readonly sets: readonly InstalledNftSet[];
  readonly chains: readonly InstalledNftChain[];
}

/** Replaces the whole table in one transaction: no packet meets half of it. */
export function renderNftTable(table: NftTable): string {
  const { family, name } = table;
  const lines = [
    `table ${family} ${name} {`,
    ...table.sets.map(renderSet),
    ...table.chains.map(renderChain),
    '}',
  ];
  return `${renderNftRemoval(table)}${lines.join('\n')}\n`;
}

/** Added first, since to delete what does not exist is an error. */
export function renderNftRemoval({ family, name }: Pick<NftTable, 'family' | 'name'>): string {
  return `add table ${family} ${name}\ndelete table ${family} ${name}\n`;
}

/**
 * Told the bare type of a set with keys of one field, newer versions of nft (1.1) write into the kernel what older
 * ones (1.0.6, of Debian 12) crash on, whichever table they are asked for; told an expression of that type, not.
 */
const expressionsOf: Readonly<Record<string, string>> = {
  ifname: 'iifname',
  ipv4_addr: 'ip saddr',
  ipv6_addr: 'ip6 saddr',
  ether_addr: 'ether saddr',
};

/** What nft calls an integer has no width of its own: here it is the 128 bits that are compared with it. */
const integer = '@th,64,128';

function renderSet({ name, type, data, interval, elements }: NftSet): string {
  const kind = data === undefined ? 'set' : 'map';
  const [only = '', ...others] = type;
  const expression = type.includes('integer')
    ? type.map((field) => expressionsOf[field] ?? integer).join(' . ')
    : others.length === 0 && data === undefined
      ? expressionsOf[only]
      : undefined;
  const types = [type, ...(data === undefined ? [] : [data])].map((fields) => fields.join(' . '));
  const typing = expression === undefined ? `type ${types.join(' : ')}` : `typeof ${expression}`;
  const flags = interval ? ' flags interval;' : '';
  const content = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} };`;
  return `  ${kind} ${name} { ${typing};${flags}${content} }`;
}

function renderChain({ name, base, rules }: NftChain): string {
  const lines = rules.map((rule) => `${rule} comment "${fingerprint(rule)}"`);
  if (base !== undefined) {
    lines.unshift(`type ${base.type} hook ${base.hook} priority ${base.priority}; policy ${base.policy};`);
  }
  return `  chain ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }`;
}

function fingerprint(rule: string): string {
  return createHash('sha256').update(rule).digest('hex').slice(0, 12);
}

/**
 * Of sets with prefixes, nft goes through the whole set for each element that it takes out: 30 of 5,000 take it longer
 * than the table anew, and a thousand ten seconds.
 */
const mostPrefixRemovals = 32;

/**
 * What makes the installed table the desired one, told as is quickest; undefined when it is. A difference in few
 * elements alone leaves the rules, and their counters, alone.
 */
export function renderNftUpdate(
  installed: InstalledNftTable | undefined,
  table: NftTable,
): string | undefined {
  if (installed === undefined || skeletonOf(installed) !== skeletonOf(asInstalled(table))) {
    return renderNftTable(table);
  }
  const before = new Map(installed.sets.map(({ name, elements }) => [name, elements]));
  const differences = table.sets.map((set) => {
    const present = before.get(set.name) ?? new Set<string>();
    const wanted = canonicalElements(set.elements);
    return { set, removed: without(present, wanted), added: without(wanted, present) };
  });
  const prefixRemovals = differences.flatMap(({ set, removed }) => (set.interval ? removed : []));
  if (prefixRemovals.length > mostPrefixRemovals) return renderNftTable(table);
  const lines = differences.flatMap(({ set, removed, added }) => [
    ...renderElements('delete', table, set, removed),
    ...renderElements('add', table, set, added),
  ]);
  return lines.length === 0 ? undefined : `${lines.join('\n')}\n`;
}

function without(elements: ReadonlySet<string>, others: ReadonlySet<string>): string[] {
  return [...elements].filter((element) => !others.has(element));
}

function renderElements(verb: string, table: NftTable, set: NftSet, elements: string[]): string[] {
  if (elements.length === 0) return [];
  const told = verb === 'add' ? elements : elements.map((element) => element.replace(/ : .*/, ''));
  return [`${verb} element ${table.family} ${table.name} ${set.name} { ${told.join(', ')} }`];
}

/** What the kernel will hold of a table. */
export function asInstalled({ sets, chains, ...table }: NftTable): InstalledNftTable {
  return {
    ...table,
    sets: sets.map((set) => ({ ...set, elements: canonicalElements(set.elements) })),
    chains: chains.map(({ rules, ...chain }) => ({ ...chain, fingerprints: rules.map(fingerprint) })),
  };
}

/** All but the elements, in an order and form of its own, to be compared. */
function skeletonOf({ sets, chains }: InstalledNftTable): string {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  return JSON.stringify([
    sets.toSorted(byName).map(({ name, type, data = [], interval }) => [name, type, data, interval]),
    chains
      .toSorted(byName)
      .map(({ name, base, fingerprints }) => [
        name,
        base ? [base.type, base.hook, base.priority, base.policy] : [],
        fingerprints,
      ]),
  ]);
}

/** There may be ten thousand, in each pass. */
export function canonicalElements(elements: readonly string[]): Set<string> {
  return new Set(elements.map((element) => (/["/]/.test(element) ? canonicalElement(element) : element)));
}

/** As nft prints it: a prefix of one address is that address, a name has no quotes. */
function canonicalElement(element: string): string {
  const fields = (part: string) => part.split(' . ').map(canonicalField).join(' . ');
  return element.split(' : ').map(fields).join(' : ');
}

function canonicalField(field: string): string {
  return field.replaceAll('"', '').replace(field.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** Elements of one set. */
export interface NftElements {
  readonly set: Pick<NftSet, 'name' | 'type' | 'data'>;
  readonly elements: readonly string[];
}

/** Keeps what is known of an installed table true when elements were added to it, or taken out. */
export function amend(
  { sets }: InstalledNftTable,
  verb: 'add' | 'delete',
  { set: { name }, elements }: NftElements,
): void {
  const present = sets.find((set) => set.name === name)?.elements;
  for (const element of canonicalElements(elements)) present?.[verb](element);
}
