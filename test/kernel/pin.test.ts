import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { emptyState } from '../../src/kernel/state.ts';
import { type Host, openHost, restarted } from './host.ts';

let host: Host;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

const pin = () => join(host.runDir, 'netns/weft-7');
const bridge = { kind: 'bridge', name: 'br0', mtu: 1500, mac: '02:5b:00:00:00:01', up: true } as const;

test('a pinned namespace outlives weft, with all that is in it', async () => {
  const before = await host.kernel.namespace('weft-7');
  await before.apply([{ do: 'put', kind: 'link', object: bridge }]);
  host = await restarted(host);
  expect(await host.kernel.namespaces()).toEqual(['weft-7']);
  expect((await (await host.kernel.namespace('weft-7')).read()).links).toEqual([bridge]);
});

test('a file that a reboot left is pinned anew', async () => {
  mkdirSync(join(host.runDir, 'netns'));
  writeFileSync(pin(), '');
  expect(await host.kernel.namespaces()).toEqual(['weft-7']);
  expect(await (await host.kernel.namespace('weft-7')).read()).toEqual(emptyState);
  const own = readlinkSync('/proc/self/ns/net').replace(/\D/g, '');
  expect(String(statSync(pin()).ino)).not.toBe(own);
});

test('a file that a reboot left can be removed', async () => {
  mkdirSync(join(host.runDir, 'netns'));
  writeFileSync(pin(), '');
  await host.kernel.removeNamespace('weft-7');
  expect(existsSync(pin())).toBe(false);
});

test('others’ namespaces are not told', async () => {
  mkdirSync(join(host.runDir, 'netns'));
  writeFileSync(join(host.runDir, 'netns/blue'), '');
  expect(await host.kernel.namespaces()).toEqual([]);
});

test('what is asked of one namespace at once is asked of one, not two', async () => {
  const both = await Promise.all([host.kernel.namespace('weft-7'), host.kernel.namespace('weft-7')]);
  expect(both[0]).toBe(both[1]);
});

test('weft itself stays in its own namespace', async () => {
  const before = readlinkSync('/proc/thread-self/ns/net');
  await host.kernel.namespace('weft-7');
  await host.kernel.host.read();
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before);
});

test('loopback is up, and bridged frames are kept from netfilter, even when br_netfilter came later', async () => {
  await host.kernel.namespace('weft-7');
  const inside = (script: string) =>
    execFileSync('nsenter', [`--net=${pin()}`, 'sh', '-ec', script], { encoding: 'utf8' });
  expect(inside('ip -o link show lo')).toContain('LOOPBACK,UP');
  const settings = '/proc/sys/net/bridge/bridge-nf-call-*tables';
  inside(`for setting in ${settings}; do [ ! -e $setting ] || echo 1 > $setting; done`);
  host = await restarted(host);
  await host.kernel.namespace('weft-7');
  expect(inside(`cat ${settings} 2> /dev/null || true`)).toMatch(/^(0\n)*$/);
});
