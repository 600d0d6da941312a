import { expect, test } from 'vitest';
import { renderForwardAccept } from '../../../src/kernel/forward-accept.ts';

const ours = [
  '-A FORWARD -i weft+ -m comment --comment weft -j ACCEPT',
  '-A FORWARD -o weft+ -m comment --comment weft -j ACCEPT',
];
const [from = '', to = ''] = ours;
const insertedAt = (position: number) =>
  ours.map((rule, offset) => rule.replace('-A FORWARD', `-I FORWARD ${position + offset}`));
const removed = ours.map((rule) => rule.replace('-A', '-D'));
const policy = '-P FORWARD DROP';
const user = '-A FORWARD -j DOCKER-USER';
const docker = '-A FORWARD -j DOCKER-FORWARD';

test.each<[string, string[], string[]]>([
  ['an empty chain: at its top', [policy], insertedAt(1)],
  ['no DOCKER-USER: at the top', [policy, docker], insertedAt(1)],
  ['DOCKER-USER: right behind it', [policy, user, docker], insertedAt(2)],
  ['something before DOCKER-USER', [policy, '-A FORWARD -j AUDIT', user, docker], insertedAt(3)],
  ['in place', [policy, user, ...ours, docker], []],
  [
    'in place, with the comment in quotes',
    [policy, user, ...ours.map((rule) => rule.replace('t weft ', 't "weft" ')), docker],
    [],
  ],
  ['before DOCKER-USER, where dockerd put it anew', [policy, ...ours, user], [...removed, ...insertedAt(2)]],
  ['one missing', [policy, user, from, docker], [removed[0] ?? '', ...insertedAt(2)]],
  ['one twice', [policy, user, ...ours, docker, to], [...removed, removed[1] ?? '', ...insertedAt(2)]],
  ['the wrong way round', [policy, user, to, from], [...removed.toReversed(), ...insertedAt(2)]],
])('%s', (_what, chain, commands) => {
  expect(renderForwardAccept([...chain, ''])).toEqual(commands);
});
