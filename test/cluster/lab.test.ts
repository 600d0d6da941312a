import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Host } from '../lab/host.ts';
import { labNames } from '../lab/record.ts';
import { removeOrphans } from '../lab/removal.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';
import { everyDocker, testLab } from './test-lab.ts';

const hosts = everyDocker.map((host) =>
  host.name === 'h3' ? { ...host, daemon: { 'live-restore': true } } : host,
);

const ping = (from: Host, address: string) => from.exec(['ping', '-c1', '-W1', address]);

/** Pids of this machine for which it holds of their /proc/PID. One that has ended and waits for its parent is none. */
function pidsWhere(holds: (folder: string) => boolean): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const folder = join('/proc', pid);
      return (
        /^\d+$/.test(pid) &&
        holds(folder) &&
        !/^State:\s+[ZX]/m.test(readFileSync(join(folder, 'status'), 'utf8'))
      );
    } catch {
      return false;
    }
  });
}

describe('a lab of three hosts and three etcd members', () => {
  const lab = testLab({ name: 'labtest', hosts, etcd: { members: 3 } });

  test.each(hosts)('$name runs Docker $docker', async ({ name, docker }) => {
    const version = await lab.host(name).docker(['version', '--format={{.Server.Version}}']);
    expect(version.startsWith(`${docker}.`)).toBe(true);
  });

  test('hosts reach each other over IPv4 and IPv6', async () => {
    for (const from of lab.hosts) {
      for (const to of lab.hosts) {
        await ping(from, to.address);
        await ping(from, to.address6);
      }
    }
  });

  test('a container of the tools image runs on every host', async () => {
    const outputs = lab.hosts.map((host) =>
      host.docker(['run', '--rm', toolsImage, 'sh', '-c', 'ip -json link show eth0 && iperf3 --version']),
    );
    for (const output of await Promise.all(outputs)) {
      expect(output).toContain('"ifname":"eth0"');
      expect(output).toContain('iperf 3');
    }
  });

  test('a command that fails tells where, what and why', async () => {
    const failure = lab.host('h1').docker(['run', '--rm', 'no-such:1']);
    await expect(failure).rejects.toThrow(/^h1: docker run --rm no-such:1: exit code 125: .*no-such:1/);
  });

  test('a command that hangs is ended, with what it has started', async () => {
    const host = lab.host('h1');
    const hanging = host.exec(['sh', '-c', 'sleep 4242; true'], { timeoutMs: 200 });
    await expect(hanging).rejects.toThrow('did not end in time');
    await waitFor('end of sleep', async () => !(await host.exec(['ps', 'ax'])).includes('sleep 4242'));
  });

  test('a name server that is asked on a host refuses at once', async () => {
    const lookup = lab.host('h2').exec(['getent', 'hosts', 'registry.invalid'], { timeoutMs: 4_000 });
    await expect(lookup).rejects.toThrow('exit code 2');
  });

  test('etcd serves while a member is dead or frozen, and that one comes back', async () => {
    const [first, second] = [lab.etcd.member('etcd1'), lab.etcd.member('etcd2')];
    await first.kill();
    await lab.etcd.member('etcd3').healthy();
    await second.ctl(['put', 'colour', 'blue']);
    await first.start();
    await first.healthy();
    expect(await first.ctl(['get', 'colour', '--print-value-only'])).toBe('blue');
    await first.freeze();
    await expect(first.ctl(['get', 'colour'], { timeoutMs: 500 })).rejects.toThrow('did not end in time');
    await second.healthy();
    await first.thaw();
    await first.healthy();
  });

  test('a partition is silent, and heals', async () => {
    const [h1, h2, h3] = ['h1', 'h2', 'h3'].map((name) => lab.host(name)) as [Host, Host, Host];
    await lab.cutOff('h1');
    await expect(ping(h1, h2.address)).rejects.toThrow('exit code 1');
    await expect(ping(h2, h1.address6)).rejects.toThrow('exit code 1');
    expect(await h1.exec(['cat', '/sys/class/net/eth0/carrier'])).toBe('1');
    await ping(h2, h3.address);
    await lab.cutOff('h1', ['h2']);
    await expect(ping(h2, h1.address)).rejects.toThrow('exit code 1');
    await ping(h1, h3.address);
    await lab.heal('h1');
    await ping(h1, h2.address);
  });

  test('a pulled cable shows as lost carrier', async () => {
    const carrier = () => lab.host('h2').exec(['cat', '/sys/class/net/eth0/carrier']);
    await lab.setCarrier('h2', 'down');
    await waitFor('loss of carrier', async () => (await carrier()) === '0');
    await lab.setCarrier('h2', 'up');
    await waitFor('carrier', async () => (await carrier()) === '1');
  });

  test('containers outlive a killed dockerd', async () => {
    const host = lab.host('h3');
    await host.docker(['run', '--detach', '--name=survivor', toolsImage, 'sleep', '3600']);
    const pid = await host.docker(['inspect', '--format={{.State.Pid}}', 'survivor']);
    await host.killDockerd();
    await host.startDockerd();
    expect(await host.docker(['inspect', '--format={{.State.Pid}}', 'survivor'])).toBe(pid);
  });

  test('a power cut ends all processes and keeps the disk', async () => {
    const host = lab.host('h2');
    await host.docker(['run', '--detach', '--name=victim', toolsImage, 'sleep', '3600']);
    await host.powerCut();
    expect(host.isUp).toBe(false);
    await expect(ping(lab.host('h1'), host.address)).rejects.toThrow('exit code 1');
    await host.boot();
    expect(await host.docker(['inspect', '--format={{.State.Running}}', 'victim'])).toBe('false');
    await host.docker(['start', 'victim']);
    await ping(lab.host('h1'), host.address);
  });

  test('taken down, it leaves no process, mount, namespace, cgroup or folder', async () => {
    const namespaces = lab.hosts.map((host) => readlinkSync(`/proc/${host.pid}/ns/net`));
    const ofTheLab = () => [
      ...pidsWhere((folder) => readFileSync(join(folder, 'cgroup'), 'utf8').includes('/weft-lab/labtest/')),
      ...pidsWhere((folder) => namespaces.includes(readlinkSync(join(folder, 'ns/net')))),
      ...pidsWhere((folder) =>
        readFileSync(join(folder, 'mountinfo'), 'utf8').includes('/weft-lab/labtest/'),
      ),
      ...readdirSync('/run/netns').filter((name) => name.includes('.labtest.')),
    ];
    expect(ofTheLab()).not.toEqual([]);
    await lab.down();
    expect(ofTheLab()).toEqual([]);
    expect(await labNames()).not.toContain('labtest');
  });
});

test('a lab whose maker was killed is removed by the next run', async () => {
  const script = `
    import { Lab } from '${join(import.meta.dirname, '../lab/lab.ts')}';
    await Lab.up({ name: 'labkilled', hosts: [{ name: 'h1', docker: '28.5' }] });
    console.log('up');
    setInterval(() => {}, 1000);
  `;
  const maker = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(maker.stdout, 'data');
  expect(await labNames()).toContain('labkilled');
  maker.kill('SIGKILL');
  await once(maker, 'exit');
  // That of another file may do it first.
  await removeOrphans();
  expect(await labNames()).not.toContain('labkilled');
  expect(readdirSync('/run/netns').filter((name) => name.includes('.labkilled.'))).toEqual([]);
});
