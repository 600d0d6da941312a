/** weft's nftables table from what `nft -j list table` prints (libnftables-json(5)); pure. */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { WeftError } from '../errors.ts';
import {
  canonicalElements,
  type InstalledNftChain,
  type InstalledNftSet,
  type InstalledNftTable,
} from './nft.ts';

const Scalar = Type.Union([Type.String(), Type.Number()]);
const Field = Type.Union([
  Scalar,
  Type.Object({ prefix: Type.Object({ addr: Type.String(), len: Type.Number() }) }),
  Type.Object({ range: Type.Array(Scalar) }),
]);
const Key = Type.Union([Field, Type.Object({ concat: Type.Array(Field) })]);
/** With a comment, a counter or a timeout, the key is wrapped once more. */
const Element = Type.Union([Key, Type.Object({ elem: Type.Object({ val: Key }) })]);

const Expression = Type.Union([
  Type.Object({ payload: Type.Object({ protocol: Type.String() }) }),
  Type.Object({ payload: Type.Object({ base: Type.String() }) }),
  Type.Object({ meta: Type.Object({ key: Type.String() }) }),
]);
/** How newer versions tell a type that they were told by an expression. */
const TypeOf = Type.Object({
  typeof: Type.Union([Expression, Type.Object({ concat: Type.Array(Expression) })]),
});
const Types = Type.Union([Type.String(), Type.Array(Type.String()), TypeOf]);
const Listed = Type.Object({
  name: Type.String(),
  type: Types,
  flags: Type.Optional(Type.Array(Type.String())),
});
const ListedSet = Type.Object({ ...Listed.properties, elem: Type.Optional(Type.Array(Element)) });
const ListedMap = Type.Object({
  ...Listed.properties,
  map: Types,
  elem: Type.Optional(Type.Array(Type.Tuple([Element, Key]))),
});
const Chain = Type.Object({
  name: Type.String(),
  type: Type.Optional(Type.Enum(['filter', 'nat', 'route'])),
  hook: Type.Optional(Type.Enum(['prerouting', 'input', 'forward', 'output', 'postrouting'])),
  prio: Type.Optional(Type.Number()),
  policy: Type.Optional(Type.Enum(['accept', 'drop'])),
});
const Rule = Type.Object({ chain: Type.String(), comment: Type.Optional(Type.String()) });
const Listing = Type.Object({
  nftables: Type.Array(
    Type.Object({
      table: Type.Optional(
        Type.Object({ family: Type.Enum(['inet', 'bridge']), name: Type.Literal('weft') }),
      ),
      set: Type.Optional(ListedSet),
      map: Type.Optional(ListedMap),
      chain: Type.Optional(Chain),
      rule: Type.Optional(Rule),
    }),
  ),
});
/** It names the addresses of all hosts and containers: interpreted, that would take longer than all else of a pass. */
const listing = Compile(Listing);

/**
 * Undefined where the listing has no table of weft's.
 * @throws WeftError `kernel` when it is not such a listing
 */
export function parseNftTable(json: string): InstalledNftTable | undefined {
  const { nftables } = parse(json);
  const table = nftables.find(({ table }) => table !== undefined)?.table;
  if (table === undefined) return undefined;
  const rules = nftables.flatMap(({ rule }) => rule ?? []);
  return {
    family: table.family,
    name: 'weft',
    sets: nftables.flatMap(({ set, map }) => [
      ...(set === undefined ? [] : [asSet(set)]),
      ...(map === undefined ? [] : [asMap(map)]),
    ]),
    chains: nftables.flatMap(({ chain }) => (chain === undefined ? [] : [asChain(chain, rules)])),
  };
}

function parse(json: string): Static<typeof Listing> {
  try {
    return listing.Parse(JSON.parse(json));
  } catch (cause) {
    throw new WeftError('kernel', 'nft listed its table in a form that weft does not know', { cause });
  }
}

function asSet({ elem = [], ...listed }: Static<typeof ListedSet>): InstalledNftSet {
  return { ...asKeys(listed), elements: canonicalElements(elem.map(elementText)) };
}

function asMap({ elem = [], map, ...listed }: Static<typeof ListedMap>): InstalledNftSet {
  const elements = elem.map(([key, value]) => `${elementText(key)} : ${keyText(value)}`);
  return { ...asKeys(listed), data: fieldTypes(map), elements: canonicalElements(elements) };
}

function asKeys({ name, type, flags = [] }: Static<typeof Listed>) {
  return { name, type: fieldTypes(type), interval: flags.includes('interval') };
}

/** Several are a text with dots, or an array: it depends on what they are of, and on the version. */
function fieldTypes(types: Static<typeof Types>): string[] {
  if (typeof types === 'string') return types.split(' . ');
  if (Array.isArray(types)) return types;
  const { typeof: expression } = types;
  return 'concat' in expression ? expression.concat.map(typeOf) : [typeOf(expression)];
}

function typeOf(expression: Static<typeof Expression>): string {
  if ('meta' in expression) return typesOf[expression.meta.key] ?? expression.meta.key;
  const { payload } = expression;
  return 'protocol' in payload ? (typesOf[payload.protocol] ?? payload.protocol) : 'integer';
}

const typesOf: Readonly<Record<string, string>> = {
  iifname: 'ifname',
  ip: 'ipv4_addr',
  ip6: 'ipv6_addr',
  ether: 'ether_addr',
};

function elementText(element: Static<typeof Element>): string {
  return keyText(isWrapped(element) ? element.elem.val : element);
}

function isWrapped(element: Static<typeof Element>): element is { elem: { val: Static<typeof Key> } } {
  return typeof element === 'object' && 'elem' in element;
}

function keyText(key: Static<typeof Key>): string {
  if (typeof key === 'object' && 'concat' in key) return key.concat.map(fieldText).join(' . ');
  return fieldText(key);
}

function fieldText(field: Static<typeof Field>): string {
  if (typeof field !== 'object') return String(protocolNumbers.get(field) ?? field);
  return 'prefix' in field ? `${field.prefix.addr}/${field.prefix.len}` : field.range.join('-');
}

/** nft prints a protocol by its name where the system knows one. */
const protocolNumbers = new Map<string | number, number>([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);

function asChain(
  { name, type, hook, prio, policy = 'accept' }: Static<typeof Chain>,
  rules: readonly Static<typeof Rule>[],
): InstalledNftChain {
  const fingerprints = rules.filter(({ chain }) => chain === name).map(({ comment = '' }) => comment);
  if (type === undefined || hook === undefined || prio === undefined) return { name, fingerprints };
  return { name, base: { type, hook, priority: prio, policy }, fingerprints };
}
