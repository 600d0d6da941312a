import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Host, openHost } from './host.ts';

let host: Host;
beforeEach(async () => {
  host = await openHost();
});
afterEach(() => host.close());

test('a host without IPv6 is told from one that has it', () => {
  expect(host.kernel.hasIpv6()).toBe(true);
  host.run('sysctl -qw net.ipv6.conf.default.disable_ipv6=1');
  expect(host.kernel.hasIpv6()).toBe(false);
});

describe('turning routing on', () => {
  test('is done for the families asked for', () => {
    host.kernel.enableForwarding([4]);
    expect(host.run('cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding')).toBe(
      '1\n0\n',
    );
  });

  test('leaves a host the routes that it has from router advertisements', () => {
    host.run('sysctl -qw net.ipv6.conf.eth0.accept_ra=1 net.ipv6.conf.wire.accept_ra=0');
    host.kernel.enableForwarding([6]);
    expect(host.run('sysctl -n net.ipv6.conf.eth0.accept_ra net.ipv6.conf.wire.accept_ra')).toBe('2\n0\n');
  });
});

test('/proc/sys is made writable where it was mounted read-only', () => {
  const sysctl = new URL('../../src/kernel/sysctl.ts', import.meta.url);
  const program = `
    import { makeSysctlsWritable } from ${JSON.stringify(sysctl)};
    import { accessSync, constants } from 'node:fs';
    const file = '/proc/sys/net/ipv4/ip_forward';
    let before = 'writable';
    try { accessSync(file, constants.W_OK); } catch (error) { before = error.code; }
    makeSysctlsWritable();
    makeSysctlsWritable();
    accessSync(file, constants.W_OK);
    console.log(before, 'then writable');`;
  const script = `mount --bind /proc/sys /proc/sys
    mount -o remount,ro,bind /proc/sys
    exec "$0" --input-type=module --eval "$1"`;
  const output = execFileSync('unshare', ['--mount', 'sh', '-ec', script, process.execPath, program], {
    encoding: 'utf8',
  });
  expect(output).toBe('EROFS then writable\n');
});
