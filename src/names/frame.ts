/** Messages in a stream: each has its length before it, in two bytes (RFC 1035 4.2.2). */
import type { Readable } from 'node:stream';

const lengthBytes = 2;

/** Ends with the stream; what is cut off is left out. @throws what the stream does */
export async function* framesIn(stream: Readable): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= lengthBytes) {
      const end = lengthBytes + rest.readUInt16BE();
      if (rest.length < end) break;
      yield rest.subarray(lengthBytes, end);
      rest = rest.subarray(end);
    }
  }
}

export function inFrame(message: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
