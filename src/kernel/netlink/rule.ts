/** Policy rules (struct fib_rule_hdr, FRA_* attributes). */
import type { Family } from '../../model/address.ts';
import type { Rule } from '../state.ts';
import { type Attribute, decodeAttributes, encodeAttributes, readText, text, u8, u32 } from './attribute.ts';
import { addressFamily, familyOf, readPrefix, wirePrefix } from './ip.ts';
import { NLM_F, type Request } from './message.ts';

const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const FR_ACT_TO_TBL = 1;
const FRA = { DST: 1, SRC: 2, IIFNAME: 3, PRIORITY: 6, MARK: 10, TABLE: 15, MASK: 16, PROTOCOL: 21 } as const;
const headerBytes = 12;

/** Refused with EEXIST where there is one already: without that flag the kernel would add it once more. */
export function putRule(rule: Rule, protocol: number): Request {
  return change(RTM_NEWRULE, NLM_F.CREATE | NLM_F.EXCLUSIVE, rule, protocol);
}

/** `protocol` 0 matches anyone's. */
export function deleteRule(rule: Rule, protocol: number): Request {
  return change(RTM_DELRULE, 0, rule, protocol);
}

function change(type: number, flags: number, rule: Rule, protocol: number): Request {
  const from = rule.from === undefined ? undefined : wirePrefix(rule.from);
  const to = rule.to === undefined ? undefined : wirePrefix(rule.to);
  const attributes: Attribute[] = [
    [FRA.PRIORITY, u32(rule.priority)],
    [FRA.TABLE, u32(rule.table)],
  ];
  if (protocol !== 0) attributes.push([FRA.PROTOCOL, u8(protocol)]);
  if (from !== undefined) attributes.push([FRA.SRC, from.bytes]);
  if (to !== undefined) attributes.push([FRA.DST, to.bytes]);
  if (rule.inputLink !== undefined) attributes.push([FRA.IIFNAME, text(rule.inputLink)]);
  if (rule.mark !== undefined) attributes.push([FRA.MARK, u32(rule.mark)], [FRA.MASK, u32(rule.mark)]);
  const fixed = header(rule.family, to?.length ?? 0, from?.length ?? 0);
  return { type, flags: flags | NLM_F.ACK, body: Buffer.concat([fixed, encodeAttributes(attributes)]) };
}

export function dumpRules(family: Family): Request {
  const fixed = Buffer.alloc(headerBytes);
  fixed.writeUInt8(addressFamily[family]);
  return { type: RTM_GETRULE, flags: NLM_F.DUMP, body: fixed };
}

/** Undefined for a rule that does something else than look up a table. */
export function decodeRule(body: Buffer): { readonly rule: Rule; readonly protocol: number } | undefined {
  const family = familyOf(body.readUInt8(0));
  if (family === undefined || body.readUInt8(7) !== FR_ACT_TO_TBL) return undefined;
  const attributes = decodeAttributes(body.subarray(headerBytes));
  const from = attributes.get(FRA.SRC);
  const to = attributes.get(FRA.DST);
  const inputLink = attributes.get(FRA.IIFNAME);
  const mark = attributes.get(FRA.MARK)?.readUInt32LE();
  const rule: Rule = {
    family,
    priority: attributes.get(FRA.PRIORITY)?.readUInt32LE() ?? 0,
    table: attributes.get(FRA.TABLE)?.readUInt32LE() ?? body.readUInt8(4),
    ...(from === undefined ? {} : { from: readPrefix(family, from, body.readUInt8(2)) }),
    ...(to === undefined ? {} : { to: readPrefix(family, to, body.readUInt8(1)) }),
    ...(inputLink === undefined ? {} : { inputLink: readText(inputLink) }),
    ...(mark === undefined ? {} : { mark }),
  };
  return { rule, protocol: attributes.get(FRA.PROTOCOL)?.readUInt8() ?? 0 };
}

function header(family: Family, toLength: number, fromLength: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.set([addressFamily[family], toLength, fromLength, 0, 0, 0, 0, FR_ACT_TO_TBL]);
  return bytes;
}
