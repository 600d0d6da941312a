import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { merge } from '../../src/fabric/fabric.ts';
import type { HostChange } from '../../src/kernel/kernel.ts';
import { type Host, openHost } from './host.ts';
import { settle } from './namespace-suite.ts';
import { port, routed, segment, tunnel } from './states.ts';

const waiting = { timeout: 20_000, interval: 50 };

let host: Host;
let heard: HostChange[];
let unwatch: () => void;
beforeEach(async () => {
  host = await openHost();
  heard = [];
  unwatch = host.kernel.watch((change) => heard.push(change));
  await becomesQuiet();
});
afterEach(async () => {
  unwatch();
  await host.close();
});

/** What happened before has been heard once a change made after it is. */
async function becomesQuiet(): Promise<void> {
  host.run('ip link add sentinel type bridge; ip link delete sentinel');
  await vi.waitUntil(
    () => heard.some((change) => change.kind === 'link' && change.name === 'sentinel'),
    waiting,
  );
  await vi.waitUntil(
    () => {
      const before = heard.splice(0).length;
      return before === 0;
    },
    { ...waiting, interval: 500 },
  );
}

test.each<[string, string, HostChange]>([
  ['an MTU', 'ip link set eth0 mtu 1400', { kind: 'link', name: 'eth0' }],
  ['a link that goes down', 'ip link set eth0 down', { kind: 'link', name: 'eth0' }],
  ['a new address', 'ip address add 10.9.0.7/24 dev eth0', { kind: 'address' }],
  ['an address that goes', 'ip address delete fd09::1/64 dev eth0', { kind: 'address' }],
  ['a route', 'ip route add default via 10.9.0.254', { kind: 'route' }],
  ['an IPv6 route', 'ip route add fd10::/64 via fd09::254', { kind: 'route' }],
])('hears of %s', async (_what, script, change) => {
  host.run(script);
  await vi.waitUntil(() => heard.some((each) => JSON.stringify(each) === JSON.stringify(change)), waiting);
});

test.each<[string, string, HostChange['kind']]>([
  ['a route of weft to another host', 'ip route flush proto 119', 'own route'],
  ['its packet filter', 'nft flush ruleset', 'own filter'],
])('hears that %s is gone', async (_what, script, expected) => {
  await settle(host.kernel.host, routed);
  host.run('nft add table inet weft; nft add table inet other');
  host.run(script);
  await vi.waitUntil(() => heard.length > 0, waiting);
  expect(new Set(heard.map(({ kind }) => kind))).toEqual(new Set([expected]));
});

test.each<[string, string]>([
  ['neighbours', 'ip neigh flush nud permanent'],
  ['forwarding entries of the device', 'bridge fdb del 02:57:0a:4e:00:07 dev vx0 self'],
  ['forwarding entries of the bridge', 'bridge fdb del 02:57:0a:4e:00:07 dev vx0 master'],
  ['a link', 'ip link del vx0'],
  ['its packet filter', 'nft flush ruleset'],
])('hears that a segment has lost %s', async (_what, script) => {
  const own = await host.kernel.namespace('weft-4097');
  await settle(own, segment);
  const inSegment = (script: string) => host.run(`nsenter --net=${host.runDir}/netns/weft-4097 ${script}`);
  inSegment('nft add table bridge weft');
  await becomesQuiet();
  inSegment(script);
  await vi.waitUntil(() => heard.length > 0, waiting);
  expect(new Set(heard.map((change) => JSON.stringify(change)))).toEqual(
    new Set([JSON.stringify({ kind: 'own segment', namespace: 'weft-4097' })]),
  );
});

test('does not hear what else weft does', async () => {
  await settle(host.kernel.host, merge([routed, tunnel]));
  host.run('ip route add default via 10.9.0.254');
  await vi.waitUntil(() => heard.length > 0, waiting);
  expect(heard).toEqual([{ kind: 'route' }]);
});

test('does not hear what weft puts on a segment, nor that containers leave it', async () => {
  const own = await host.kernel.namespace('weft-4097');
  await settle(own, segment);
  await own.apply([{ do: 'delete', kind: 'link', object: port }]);
  host.run('ip route add default via 10.9.0.254');
  await vi.waitUntil(() => heard.some(({ kind }) => kind === 'route'), waiting);
  expect(heard).toEqual([{ kind: 'route' }]);
});
