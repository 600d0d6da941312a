/**
 * A table of one chain by which what a namespace sends to one of its own ports goes to another (expressions of
 * linux/netfilter/nf_tables.h). It belongs to the socket that makes it: the kernel takes it away in the moment in
 * which that is closed, however the process ends. Takes Linux 5.12; `nft` cannot make one that outlives its run.
 */
import { type Attribute, encodeAttributes, networkU16, networkU32, text, u32 } from './attribute.ts';
import { wireAddress } from './ip.ts';
import { NLM_F, type Request } from './message.ts';
import { batch, header, NFNL_SUBSYS_NFTABLES, NFTA_DATA_VALUE, NFTA_LIST_ELEM } from './nftables.ts';

export interface Detour {
  /** An IPv4 address of the namespace's own. */
  readonly address: string;
  readonly port: number;
  /** Where that leads, at the same address, by IP's number of the protocol. */
  readonly ports: ReadonlyMap<number, number>;
  /** Who sends with this mark (SO_MARK) is let go straight on. */
  readonly exceptMark: number;
}

const NFPROTO_IPV4 = 2;
const NFT_MSG = { NEWTABLE: 0, NEWCHAIN: 3, NEWRULE: 6 } as const;
const NFTA_TABLE = { NAME: 1, FLAGS: 2 } as const;
const NFT_TABLE_F_OWNER = 2;
const NFTA_CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
const NFTA_HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
const NF_INET_LOCAL_OUT = 3;
const NF_ACCEPT = 1;
/** Docker's own translation to its resolver is at -100, and who translates first has translated. */
const priority = -110;
const NFTA_RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4 } as const;
const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
/** Of what reads: NFTA_META_DREG, NFTA_PAYLOAD_DREG. */
const NFTA_REGISTER = 1;
const NFTA_META_KEY = 2;
const NFT_META = { MARK: 3, L4PROTO: 16 } as const;
const NFTA_CMP = { REGISTER: 1, OPERATOR: 2, DATA: 3 } as const;
const NFT_CMP = { EQUAL: 0, UNEQUAL: 1 } as const;
const NFTA_PAYLOAD = { BASE: 2, OFFSET: 3, LENGTH: 4 } as const;
const NFT_PAYLOAD = { NETWORK_HEADER: 1, TRANSPORT_HEADER: 2 } as const;
const NFTA_IMMEDIATE = { REGISTER: 1, DATA: 2 } as const;
const NFTA_NAT = { TYPE: 1, FAMILY: 2, ADDRESS: 3, PORT: 5 } as const;
const NFT_NAT_DNAT = 1;
const registers = { address: 1, port: 2 } as const;

const tableName = 'weft';
const chainName = 'detour';

export function addDetour({ address, port, ports, exceptMark }: Detour): Request[] {
  const destination = wireAddress(address).bytes;
  const rules = Array.from(ports, ([protocol, to]) => [
    ...equal('meta', [[NFTA_META_KEY, networkU32(NFT_META.L4PROTO)]], Buffer.of(protocol)),
    ...equal('payload', payload(NFT_PAYLOAD.NETWORK_HEADER, 16, 4), destination),
    ...equal('payload', payload(NFT_PAYLOAD.TRANSPORT_HEADER, 2, 2), networkU16(port)),
    ...compare('meta', [[NFTA_META_KEY, networkU32(NFT_META.MARK)]], NFT_CMP.UNEQUAL, u32(exceptMark)),
    immediate(registers.address, destination),
    immediate(registers.port, networkU16(to)),
    expression('nat', [
      [NFTA_NAT.TYPE, networkU32(NFT_NAT_DNAT)],
      [NFTA_NAT.FAMILY, networkU32(NFPROTO_IPV4)],
      [NFTA_NAT.ADDRESS, networkU32(registers.address)],
      [NFTA_NAT.PORT, networkU32(registers.port)],
    ]),
  ]);
  return batch([
    request(NFT_MSG.NEWTABLE, NLM_F.CREATE, [
      [NFTA_TABLE.NAME, text(tableName)],
      [NFTA_TABLE.FLAGS, networkU32(NFT_TABLE_F_OWNER)],
    ]),
    request(NFT_MSG.NEWCHAIN, NLM_F.CREATE, [
      [NFTA_CHAIN.TABLE, text(tableName)],
      [NFTA_CHAIN.NAME, text(chainName)],
      [
        NFTA_CHAIN.HOOK,
        [
          [NFTA_HOOK.NUMBER, networkU32(NF_INET_LOCAL_OUT)],
          [NFTA_HOOK.PRIORITY, networkU32(priority)],
        ],
      ],
      [NFTA_CHAIN.POLICY, networkU32(NF_ACCEPT)],
      [NFTA_CHAIN.TYPE, text('nat')],
    ]),
    ...rules.map((expressions) =>
      request(NFT_MSG.NEWRULE, NLM_F.CREATE | NLM_F.APPEND, [
        [NFTA_RULE.TABLE, text(tableName)],
        [NFTA_RULE.CHAIN, text(chainName)],
        [NFTA_RULE.EXPRESSIONS, expressions],
      ]),
    ),
  ]);
}

function request(type: number, flags: number, attributes: readonly Attribute[]): Request {
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | type,
    flags: NLM_F.ACK | flags,
    body: Buffer.concat([header(NFPROTO_IPV4), encodeAttributes(attributes)]),
  };
}

function expression(name: string, data: readonly Attribute[]): Attribute {
  return [
    NFTA_LIST_ELEM,
    [
      [NFTA_EXPR.NAME, text(name)],
      [NFTA_EXPR.DATA, data],
    ],
  ];
}

function payload(base: number, offset: number, length: number): Attribute[] {
  return [
    [NFTA_PAYLOAD.BASE, networkU32(base)],
    [NFTA_PAYLOAD.OFFSET, networkU32(offset)],
    [NFTA_PAYLOAD.LENGTH, networkU32(length)],
  ];
}

function equal(name: 'meta' | 'payload', source: readonly Attribute[], value: Buffer): Attribute[] {
  return compare(name, source, NFT_CMP.EQUAL, value);
}

/** Loads what the expression reads, and goes on with the rule only if it compares so. */
function compare(
  name: 'meta' | 'payload',
  source: readonly Attribute[],
  operator: number,
  value: Buffer,
): Attribute[] {
  const register = networkU32(registers.address);
  return [
    expression(name, [[NFTA_REGISTER, register], ...source]),
    expression('cmp', [
      [NFTA_CMP.REGISTER, register],
      [NFTA_CMP.OPERATOR, networkU32(operator)],
      [NFTA_CMP.DATA, [[NFTA_DATA_VALUE, value]]],
    ]),
  ];
}

function immediate(register: number, value: Buffer): Attribute {
  return expression('immediate', [
    [NFTA_IMMEDIATE.REGISTER, networkU32(register)],
    [NFTA_IMMEDIATE.DATA, [[NFTA_DATA_VALUE, value]]],
  ]);
}
