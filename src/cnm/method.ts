import type { Static, TSchema } from 'typebox';
import type { Answer, Call } from './call.ts';
import { parser } from './schema.ts';

/** Binds a method to its name, as in `NetworkDriver.Join`. What comes out throws Refusal for a bad body. */
export type Method = (name: string) => (body: string) => Call;

/** A driver's methods, by name. */
export type Methods = Readonly<Record<string, Method>>;

/** A method with arguments. */
export function takes<S extends TSchema>(schema: S, call: (request: Static<S>) => Call): Method {
  return (name) => {
    const parse = parser(name, schema);
    return (body) => call(parse(body));
  };
}

/** A method that always answers the same, whatever it is sent. */
export function answers(answer: Answer): Method {
  return () => () => ({ subject: {}, run: async () => answer });
}
