/** Questions as they travel, and what comes back. */
import { type Answer, decode, encode, type OptAnswer, type Packet, type Question } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { answerTo } from '../../../src/names/answer.ts';
import { type Named, reverseName, zoneOf } from '../../../src/names/zone.ts';

const web: Named = { names: ['web'], domain: 'blue', addresses: ['10.77.0.2', 'fd77::2'] };
const first = () => 0;

function query(question: Question, more: Packet = {}): Buffer {
  return encode({ type: 'query', id: 4711, flags: 0x100, questions: [question], ...more });
}

function edns(udpPayloadSize: number, ednsVersion = 0): OptAnswer {
  const rest = { extendedRcode: 0, ednsVersion, flags: 0, flag_do: false, options: [] };
  return { type: 'OPT', name: '.', udpPayloadSize, ...rest };
}

function ask(members: readonly Named[], question: Question, more?: Packet, over: 'udp' | 'tcp' = 'udp') {
  const bytes = answerTo(query(question, more), [zoneOf(members)], over, first);
  return bytes && { bytes, ...decode(bytes) };
}

const dataOf = (answers: readonly Answer[] = []) =>
  answers.map((answer) => ('data' in answer ? answer.data : undefined));

test.each([
  ['A', 'Web.blue', '10.77.0.2'],
  ['AAAA', 'web', 'fd77::2'],
  ['PTR', reverseName('10.77.0.2'), 'web.blue'],
  ['PTR', reverseName('fd77::2'), 'web.blue'],
] as const)('%s of %s', (type, name, data) => {
  const answer = ask([web], { type, name });
  expect(answer).toMatchObject({
    id: 4711,
    type: 'response',
    rcode: 'NOERROR',
    flag_tc: false,
    flag_rd: true,
  });
  expect(answer?.questions).toEqual([{ type, name, class: 'IN' }]);
  expect(answer?.answers).toEqual([expect.objectContaining({ type, name, data, ttl: 5 })]);
});

test.each(['AAAA', 'MX', 'TXT'] as const)('a known name without %s has none', (type) => {
  const answer = ask([{ ...web, addresses: ['10.77.0.2'] }], { type, name: 'web' });
  expect(answer).toMatchObject({ rcode: 'NOERROR', answers: [] });
});

test('the first network that knows the name answers', () => {
  const other: Named = { names: ['web', 'db'], domain: 'red', addresses: ['10.78.0.2'] };
  const zones = [zoneOf([web]), zoneOf([other])];
  const dataFor = (name: string) => {
    const bytes = answerTo(query({ type: 'A', name }), zones, 'udp', first);
    return bytes && dataOf(decode(bytes).answers);
  };
  expect(dataFor('web')).toEqual(['10.77.0.2']);
  expect(dataFor('db')).toEqual(['10.78.0.2']);
});

test('each container behind a name comes first in turn', () => {
  const members = [1, 2, 3].map((n) => ({ ...web, addresses: [`10.77.0.${n}`] }));
  const orders = [0, 0.4, 0.9].map((random) => {
    const bytes = answerTo(query({ type: 'A', name: 'web' }), [zoneOf(members)], 'udp', () => random);
    return bytes && dataOf(decode(bytes).answers);
  });
  expect(orders).toEqual([
    ['10.77.0.1', '10.77.0.2', '10.77.0.3'],
    ['10.77.0.2', '10.77.0.3', '10.77.0.1'],
    ['10.77.0.3', '10.77.0.1', '10.77.0.2'],
  ]);
});

describe('more than fits', () => {
  const many = Array.from({ length: 200 }, (_, n) => ({ ...web, addresses: [`10.77.1.${n}`] }));
  const question: Question = { type: 'A', name: 'web' };

  test.each([
    ['512 bytes', {}, 512],
    ['the size that was said', { additionals: [edns(800)] }, 800],
    ['what passes any network', { additionals: [edns(65_000)] }, 1232],
    ['512 bytes, whatever less was said', { additionals: [edns(10)] }, 512],
  ])('is cut off at %s, and that said', (_, more, most) => {
    const answer = ask(many, question, more);
    expect(answer?.flag_tc).toBe(true);
    expect(answer?.bytes.length).toBeLessThanOrEqual(most);
    expect(answer?.bytes.length).toBeGreaterThan(most - 40);
  });

  test('is whole by TCP', () => {
    const answer = ask(many, question, {}, 'tcp');
    expect(answer?.flag_tc).toBe(false);
    expect(answer?.answers).toHaveLength(200);
  });
});

test('who knows EDNS is answered with it, and nobody else', () => {
  const question: Question = { type: 'A', name: 'web' };
  expect(ask([web], question, { additionals: [edns(1400)] })?.additionals).toMatchObject([{ type: 'OPT' }]);
  expect(ask([web], question)?.additionals).toEqual([]);
});

describe('is left to others', () => {
  const question: Question = { type: 'A', name: 'web' };
  const record: Answer = { type: 'A', name: 'web', data: '10.77.0.9' };

  /** 64 KB that take a good part of a second to decode. */
  function flood(): Buffer {
    const whole = query(question);
    // Pointers, each to the one before it: a record's name is as far as these go.
    const chain = Array.from(
      { length: 7_000 },
      (_, at) => 0xc000 + (at === 0 ? 12 : whole.length + 12 + 2 * (at - 1)),
    );
    const pointers = Buffer.from(chain.flatMap((pointer) => [pointer >> 8, pointer & 0xff]));
    const last = chain.at(-1) ?? 0;
    const text = Buffer.concat([
      Buffer.of(0xc0, 12, 0, 0xff, 0, 1, 0, 0, 0, 0),
      lengthOf(pointers),
      pointers,
    ]);
    const one = Buffer.from([last >> 8, last & 0xff, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 77, 0, 9]);
    const count = 3_000;
    whole.writeUInt16BE(count + 1, 10);
    return Buffer.concat([whole, text, ...Array.from({ length: count }, () => one)]);
  }

  function lengthOf({ length }: Buffer): Buffer {
    return Buffer.of(length >> 8, length & 0xff);
  }

  test.each([
    ['a name that nobody has', query({ type: 'A', name: 'example.com' })],
    ['another class', query({ ...question, class: 'CH' })],
    ['another operation', query(question, { flags: 0x2800 })],
    ['two questions at once', encode({ type: 'query', questions: [question, question] })],
    ['no question', encode({ type: 'query', questions: [] })],
    ['what brings answers along', query(question, { answers: [record] })],
    ['what brings authorities along', query(question, { authorities: [record] })],
    ['what brings more along than EDNS', query(question, { additionals: [edns(1232), record] })],
    ['thousands of records that all name one long name', flood()],
    ['an answer', encode({ type: 'response', questions: [question] })],
    ['a later EDNS', query(question, { additionals: [edns(1232, 1)] })],
    ['nothing', Buffer.alloc(0)],
  ])('%s', (_, bytes) => {
    expect(answerTo(bytes, [zoneOf([web])], 'udp', first)).toBeUndefined();
  });

  test('whatever was damaged on its way', () => {
    const zones = [zoneOf([web])];
    const whole = query(question, { additionals: [edns(1232)] });
    for (let end = 0; end < whole.length; end += 1) {
      expect(answerTo(whole.subarray(0, end), zones, 'udp', first), `${end} bytes`).toBeUndefined();
    }
    for (let position = 0; position < whole.length; position += 1) {
      for (const value of [0, 0x3f, 0x40, 0xc0, 0xff]) {
        const damaged = Buffer.from(whole);
        damaged[position] = value;
        expect(() => answerTo(damaged, zones, 'udp', first)).not.toThrow();
      }
    }
  });
});
