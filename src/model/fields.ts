/** What fields of records may hold. */
import { isIP } from 'node:net';
import Type, { type TSchema } from 'typebox';
import { isPrefix } from './address.ts';

export const version = Type.Literal(1);
export const text = Type.String({ minLength: 1 });
/** Checked here, because one that is none would stop whatever is computed with it, for all networks. */
export const address = Type.Refine(
  Type.String({ pattern: '^[0-9a-f.:]+$' }),
  (value) => isIP(value) !== 0,
  () => 'must be an IP address',
);
export const cidr = Type.Refine(Type.String(), isPrefix, () => 'must be a subnet');
export const mac = Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' });
/** From a block's first address, as JSON has its keys. */
const offsets = new Set(Array.from({ length: 256 }, (_, offset) => String(offset)));
export function byOffset<S extends TSchema>(of: S) {
  return Type.Refine(
    Type.Record(Type.String(), of),
    (by) => Object.keys(by).every((offset) => offsets.has(offset)),
    () => 'must be by offset, 0 to 255',
  );
}
