/** Programs at the entrance of links (struct tcmsg, TCA_* attributes; linux/pkt_sched.h, linux/pkt_cls.h). */
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  nested,
  readText,
  text,
  u32,
} from './attribute.ts';
import { NLM_F, type Request } from './message.ts';

const RTM_NEWQDISC = 36;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const TCA = { KIND: 1, OPTIONS: 2 } as const;
const BPF = { FD: 6, NAME: 7, FLAGS: 8, ID: 11 } as const;
const BPF_FLAG_ACT_DIRECT = 1;

const TC_H_CLSACT = 0xffff_fff1;
const clsactHandle = 0xffff_0000;
const TC_H_INGRESS = 0xffff_fff2;
/** Of packets of all protocols (ETH_P_ALL), as it travels. */
const allProtocols = 0x0300;

/**
 * weft's place among others' filters: behind those that choose a priority, and those that leave it to the kernel, which
 * begins at 0xc000. A filter of theirs that decides about a packet then decides for the shortcut too.
 */
const priority = 0xfe77;
const handle = 119;

export interface KernelFilter {
  readonly programId: number;
  readonly name: string;
}

/** Where filters of the link hang; that it is there already is no error, whoever made it. */
export function createClsact(linkIndex: number): Request {
  return {
    type: RTM_NEWQDISC,
    flags: NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCLUSIVE,
    body: Buffer.concat([
      header(linkIndex, { handle: clsactHandle, parent: TC_H_CLSACT, info: 0 }),
      encodeAttributes([[TCA.KIND, text('clsact')]]),
    ]),
  };
}

/** Takes the place of an earlier one of weft's without a gap. */
export function putFilter(linkIndex: number, programFd: number, name: string): Request {
  const options: Attribute[] = [
    [BPF.FD, u32(programFd)],
    [BPF.NAME, text(name)],
    [BPF.FLAGS, u32(BPF_FLAG_ACT_DIRECT)],
  ];
  return filter(RTM_NEWTFILTER, NLM_F.CREATE, linkIndex, [[TCA.OPTIONS, options]]);
}

export function deleteFilter(linkIndex: number): Request {
  return filter(RTM_DELTFILTER, 0, linkIndex, []);
}

/** Answered with ENOENT, or EINVAL where the link has no clsact, when there is none. */
export function getFilter(linkIndex: number): Request {
  return filter(RTM_GETTFILTER, 0, linkIndex, []);
}

export function decodeFilter(body: Buffer): KernelFilter | undefined {
  const options = nested(decodeAttributes(body.subarray(headerBytes)), TCA.OPTIONS);
  const [programId, name] = [options.get(BPF.ID)?.readUInt32LE(), options.get(BPF.NAME)];
  return programId === undefined || name === undefined ? undefined : { programId, name: readText(name) };
}

function filter(type: number, flags: number, linkIndex: number, more: readonly Attribute[]): Request {
  const info = (priority * 0x1_0000 + allProtocols) >>> 0;
  const fixed = header(linkIndex, { handle, parent: TC_H_INGRESS, info });
  return {
    type,
    flags: flags | NLM_F.ACK,
    body: Buffer.concat([fixed, encodeAttributes([[TCA.KIND, text('bpf')], ...more])]),
  };
}

const headerBytes = 20;

function header(
  linkIndex: number,
  { handle, parent, info }: { readonly handle: number; readonly parent: number; readonly info: number },
): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(info, 16);
  return bytes;
}
