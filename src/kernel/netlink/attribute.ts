/**
 * Netlink attributes: type, length, payload, each aligned to four bytes; the payload may be attributes again.
 * Numbers are in the machine's byte order unless said, and weft runs on little-endian machines only.
 */

export type Attribute = readonly [type: number, payload: Buffer | readonly Attribute[]];

const headerBytes = 4;
const NLA_F_NESTED = 0x8000;
const typeMask = 0x3fff;

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute));
}

function encodeAttribute([type, payload]: Attribute): Buffer {
  const nested = !Buffer.isBuffer(payload);
  const content = nested ? encodeAttributes(payload) : payload;
  const bytes = Buffer.alloc(aligned(headerBytes + content.length));
  bytes.writeUInt16LE(headerBytes + content.length, 0);
  bytes.writeUInt16LE(nested ? type | NLA_F_NESTED : type, 2);
  content.copy(bytes, headerBytes);
  return bytes;
}

/** Payloads by type; they share the memory of what is decoded. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  let offset = 0;
  while (offset + headerBytes <= bytes.length) {
    const length = bytes.readUInt16LE(offset);
    if (length < headerBytes) break;
    attributes.set(
      bytes.readUInt16LE(offset + 2) & typeMask,
      bytes.subarray(offset + headerBytes, offset + length),
    );
    offset += aligned(length);
  }
  return attributes;
}

/** Attributes inside an attribute; none where it is absent. */
export function nested(attributes: ReadonlyMap<number, Buffer>, type: number): Map<number, Buffer> {
  return decodeAttributes(attributes.get(type) ?? Buffer.alloc(0));
}

export function aligned(length: number): number {
  return (length + 3) & ~3;
}

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** As nftables has its numbers. */
export function networkU32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

/** As ports and ethertypes travel. */
export function networkU16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Text with its NUL. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

export function mac(value: string): Buffer {
  return Buffer.from(value.replaceAll(':', ''), 'hex');
}

export function readMac(bytes: Buffer): string {
  return bytes.toString('hex').replace(/..(?!$)/g, '$&:');
}
