/** A record of the store as text, and back. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { WeftError } from '../errors.ts';

export function record<S extends TSchema>(name: string, schema: S) {
  type Value = Static<S>;
  const checker = Compile(schema);
  /** What was just written, or heard of, is read by several, one after the other; that costs more than all they do with it. */
  let last: { readonly json: string; readonly value: Value } | undefined;

  function parse(json: string): Value {
    if (last?.json !== json) last = { json, value: checked(valueIn(json)) };
    return last.value;
  }

  function valueIn(json: string): unknown {
    try {
      return JSON.parse(json);
    } catch (cause) {
      throw new WeftError('invalid', `a ${name} record is not JSON`, { cause });
    }
  }

  function checked(value: unknown): Value {
    if (checker.Check(value)) return value;
    const [problem] = checker.Errors(value);
    const where = problem === undefined ? '' : ` at "${problem.instancePath}": ${problem.message}`;
    throw new WeftError('invalid', `a ${name} record is damaged or of another version${where}`);
  }

  return {
    /** @throws WeftError `invalid`, naming the kind of record and what is wrong with it. */
    parse,
    /** Undefined when there is none, or none that can be used: for what goes on without it. */
    read(json: string | undefined): Value | undefined {
      try {
        return json === undefined ? undefined : parse(json);
      } catch (error) {
        if (error instanceof WeftError && error.code === 'invalid') return undefined;
        throw error;
      }
    },
    /** @throws as `parse`: what nobody could read is not to be written. */
    render(value: Value): string {
      const json = JSON.stringify(checked(value));
      last = { json, value };
      return json;
    },
  };
}
