/** Two or three hosts that probe each other over a wire which can be told to drop. */
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { isAssumed } from '../../../src/agent/passage.ts';
import { parseProbe, renderProbe } from '../../../src/agent/probe-message.ts';
import { Prober, type ProberOptions, type ProbeTarget } from '../../../src/agent/prober.ts';
import type { UdpPlace } from '../../../src/kernel/kernel.ts';

const ids = { h1: '000000000001', h2: '000000000002' } as const;
const addresses = { h1: '10.9.0.1', h2: '10.9.0.2' } as const;
const source = '10.77.0.0';
const port = 9338;
type Name = keyof typeof ids;

let nowMs: number;
let opened: Map<string, (bytes: Buffer, from: UdpPlace) => void>;
let sent: string[];
let drops: (from: Name, address: string) => boolean;
let turns: number;
let probe: ProbeTarget['probe'];
let h1: Prober;
let h2: Prober;

beforeEach(() => {
  nowMs = 0;
  opened = new Map();
  sent = [];
  drops = () => false;
  turns = 0;
  probe = { source };
  h1 = host('h1', 'h2');
  h2 = host('h2', 'h1');
});

function host(name: Name, other: Name, changed: Partial<ProberOptions> = {}): Prober {
  let numbers = 0;
  return new Prober({
    hostId: ids[name],
    port,
    ownAddress: () => addresses[name],
    targets: async () => [{ id: ids[other], name: other, address: addresses[other], probe }],
    addressOf: (id) => (id === ids[other] ? addresses[other] : undefined),
    isSource: (address) => address === source,
    openUdp: (at, receive) => {
      // What goes to the address that all hosts share arrives nowhere.
      if (at.address !== source) opened.set(at.address, receive);
      return {
        send: (bytes, to) => {
          sent.push(`${name} ${at.address} ${bytes}`);
          if (!drops(name, at.address)) opened.get(to.address)?.(bytes, at);
        },
        close: () => void opened.delete(at.address),
      };
    },
    turned: () => {
      turns += 1;
    },
    clock: { now: () => nowMs, sleep: async () => undefined },
    wallMs: () => 1_000_000 + nowMs,
    randomNumber: () => (++numbers).toString(16).padStart(16, name === 'h1' ? '0' : 'f'),
    log: pino({ level: 'silent' }),
    ...changed,
  });
}

/** Rounds of both hosts, for so long. */
async function pass(durationMs: number): Promise<void> {
  for (const end = nowMs + durationMs; nowMs < end; nowMs += 500) {
    await h2.round();
    await h1.round();
  }
}

const toH2 = () => h1.passage(ids.h2);
const spoofed = (_: Name, address: string) => address === source;

describe('the way to another host', () => {
  test('is not trusted before it was tried, and is after one answer', async () => {
    expect(toH2()).toMatchObject({ passes: false, reason: 'not probed yet' });
    await pass(1_500);
    expect(toH2()).toMatchObject({ passes: true, decided: true });
    expect(turns).toBeGreaterThan(0);
  });

  test('is open with the first answer, which no round has to be waited for', async () => {
    await h2.round();
    await h1.round();
    expect(toH2()).toMatchObject({ passes: true, decided: true });
    expect(turns).toBe(1);
  });

  test('is tried as soon as there is someone new to ask', async () => {
    await h2.round();
    const others: ProbeTarget[] = [];
    let asleep = () => {};
    const slept = () => new Promise<void>((resolve) => (asleep = resolve));
    h1 = host('h1', 'h2', {
      targets: async () => others,
      clock: {
        now: () => nowMs,
        sleep: (_, signal) =>
          new Promise((resolve) => {
            signal?.addEventListener('abort', () => resolve());
            asleep();
          }),
      },
    });
    const stopping = new AbortController();
    const first = slept();
    const running = h1.run(stopping.signal);
    await first;
    expect(toH2().decided).toBe(false);
    others.push({ id: ids.h2, name: 'h2', address: addresses.h2, probe });
    const second = slept();
    h1.look();
    await second;
    expect(toH2().passes).toBe(true);
    stopping.abort();
    await running;
  });

  test('is held not to pass where addresses of containers are dropped, on the way there or back', async () => {
    for (const dropper of ['h1', 'h2'] as const) {
      drops = (from, address) => from === dropper && spoofed(from, address);
      await pass(20_000);
      expect(toH2()).toMatchObject({ passes: false, reason: expect.stringContaining('drops') });
      drops = () => false;
      await pass(20_000);
      expect(toH2().passes).toBe(true);
    }
  });

  test('turns within ten seconds when the network begins to drop', async () => {
    await pass(20_000);
    drops = spoofed;
    await pass(8_000);
    expect(toH2().passes).toBe(false);
    expect(h2.passage(ids.h1).passes).toBe(false);
  });

  test('does not turn for a datagram that is lost now and then', async () => {
    await pass(5_000);
    let count = 0;
    drops = () => ++count % 4 === 0;
    const before = toH2();
    await pass(60_000);
    expect(toH2()).toMatchObject({ passes: true, sinceMs: before.sinceMs });
  });

  test('stays what it was while the other host does not answer at all', async () => {
    await pass(5_000);
    const before = toH2();
    drops = () => true;
    await pass(60_000);
    expect(toH2()).toEqual(before);
    drops = spoofed;
    await pass(10_000);
    const dropped = toH2();
    drops = () => true;
    await pass(60_000);
    expect(toH2()).toEqual(dropped);
  });

  test('is only assumed until something was heard, or nothing for a few rounds', async () => {
    expect(isAssumed(toH2())).toBe(true);
    drops = () => true;
    await pass(1_000);
    expect(isAssumed(toH2())).toBe(true);
    await pass(20_000);
    expect(toH2()).toMatchObject({ passes: false, decided: false });
    expect([isAssumed(toH2()), turns]).toEqual([false, 2]);
    drops = () => false;
    await pass(10_000);
    expect(toH2().passes).toBe(true);
    expect(isAssumed(toH2())).toBe(false);
  });

  test('is not asked for where routes have decided, and anew when they no longer do', async () => {
    probe = { impossible: 'it is behind the router 10.9.0.254' };
    await pass(5_000);
    expect(toH2()).toMatchObject({
      passes: false,
      decided: true,
      reason: 'it is behind the router 10.9.0.254',
    });
    expect(sent).toEqual([]);
    probe = { source };
    await pass(5_000);
    expect(toH2().passes).toBe(true);
  });

  test('is what an earlier weft has found out, until it is found to be otherwise', async () => {
    h1.recall(ids.h2);
    expect(toH2().passes).toBe(true);
    drops = () => true;
    await pass(10_000);
    expect(toH2().passes).toBe(true);
    drops = spoofed;
    await pass(10_000);
    expect(toH2().passes).toBe(false);
  });

  test('tells since when it is so', async () => {
    await pass(1_500);
    const { sinceMs } = toH2();
    await pass(30_000);
    expect(toH2().sinceMs).toBe(sinceMs);
  });
});

test('hosts that get along ask rarely, and only from addresses of containers', async () => {
  await pass(10_000);
  sent.length = 0;
  await pass(20_000);
  const asked = sent.filter((line) => line.startsWith('h1') && line.includes('ask'));
  expect(asked).toHaveLength(10);
  expect(asked.every((line) => line.includes(`h1 ${source} weft1 ask foreign ${ids.h1} `))).toBe(true);
});

describe('a stranger', () => {
  const deliver = (bytes: Buffer, from: string) => opened.get(addresses.h1)?.(bytes, { address: from, port });
  const answer = (number: string) => renderProbe({ kind: 'answer', from: 'foreign', asker: ids.h1, number });

  test('cannot answer in place of another host without the number that was asked with', async () => {
    drops = spoofed;
    for (let guess = 0; guess < 20; guess += 1) {
      await pass(500);
      deliver(answer('00000000000000ff'), source);
      deliver(answer('0000000000000001'), '10.9.0.66');
    }
    expect(toH2().passes).toBe(false);
  });

  test('is not answered, nor anyone it pretends to be from elsewhere', async () => {
    await pass(1_500);
    sent.length = 0;
    const ask = (from: 'own' | 'foreign', asker: string) =>
      renderProbe({ kind: 'ask', from, asker, number: '00000000000000aa' });
    deliver(ask('own', '00000000000f'), '10.9.0.2');
    deliver(ask('own', ids.h2), '10.9.0.66');
    deliver(ask('foreign', ids.h2), '10.66.0.0');
    deliver(Buffer.from('GET / HTTP/1.1'), '10.9.0.2');
    deliver(Buffer.alloc(2_000, 0xff), '10.9.0.2');
    expect(sent).toEqual([]);
    deliver(ask('own', ids.h2), '10.9.0.2');
    expect(sent).toEqual([`h1 ${addresses.h1} weft1 answer own ${ids.h2} 00000000000000aa`]);
  });
});

test('a message is read as it was written', () => {
  for (const kind of ['ask', 'answer'] as const) {
    for (const from of ['own', 'foreign'] as const) {
      const message = { kind, from, asker: ids.h1, number: '0123456789abcdef' };
      expect(parseProbe(renderProbe(message))).toEqual(message);
    }
  }
  expect(parseProbe(Buffer.from('weft2 ask own 000000000001 0123456789abcdef'))).toBeUndefined();
});
