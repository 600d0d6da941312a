import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Refusal } from '../../../src/cnm/refusal.ts';
import * as schema from '../../../src/cnm/schema.ts';

const { parser, ...schemas } = schema;

test.each(Object.entries(schemas))('%s: whatever comes is read or refused in one line', (name, shape) => {
  const parse = parser(name, shape);
  const likely = fc.dictionary(
    fc.constantFrom(
      'NetworkID',
      'EndpointID',
      'SandboxKey',
      'PoolID',
      'Address',
      'Options',
      'Interface',
      'V6',
    ),
    fc.oneof(fc.string(), fc.jsonValue()),
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    likely.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(text, (body) => {
      try {
        expect(parse(body)).toEqual(JSON.parse(body));
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
        expect(error).toHaveProperty('message', expect.stringMatching(new RegExp(`^${name} [^\n]+$`)));
      }
    }),
  );
});

test('an ID is nothing that could be a path', () => {
  const parse = parser('M', schema.Network);
  expect(parse('{"NetworkID":"wl5zbzxgqlm0yqk0fwrd3bynu"}')).toEqual({
    NetworkID: 'wl5zbzxgqlm0yqk0fwrd3bynu',
  });
  for (const NetworkID of ['', '.', '..', 'a/b', 'a\\b', 'a\n', 'a\0', ' ', 'a'.repeat(129)]) {
    expect(() => parse(JSON.stringify({ NetworkID }))).toThrow(Refusal);
  }
});
