/** Network namespaces that stand for hosts and containers, made for one test. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKernel } from '../../src/kernel/linux.ts';
import type { KernelBench } from './kernel-suite.ts';

let made = 0;

export interface Space {
  /** For `ip -n`. */
  readonly name: string;
  readonly file: string;
  /** Runs a shell script inside; answers its output. @throws when a command fails */
  run(script: string): string;
  /** Whether one echo request is answered within a second. */
  pings(address: string): boolean;
  remove(): void;
}

export function addSpace(): Space {
  const name = `weftk-${process.pid}-${made++}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
  const run = (script: string) => ip('netns', 'exec', name, 'sh', '-ec', script);
  ip('netns', 'add', name);
  run('ip link set lo up');
  return {
    name,
    file: `/run/netns/${name}`,
    run,
    pings: (address) => run(`ping -q -c 1 -W 1 ${address} || true`).includes(' 1 received'),
    remove: () => ip('netns', 'delete', name),
  };
}

export interface Host extends KernelBench, Space {
  readonly runDir: string;
}

/**
 * With the link `eth0`, on it the addresses 10.9.0.N/24 and fd09::N/64, and no routing between links. Its
 * wire ends in itself, or in the host given, as that one's `eth0`.
 */
export async function openHost(number = 1, other?: Host): Promise<Host> {
  const space = addSpace();
  if (other === undefined) {
    space.run('ip link add eth0 mtu 1500 type veth peer name wire');
  } else {
    other.run(`ip link set wire netns ${space.name} name eth0`);
  }
  // Without duplicate address detection, which would take up to two seconds for its link-local address.
  space.run(`
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth0.accept_dad=0
    ip addr add 10.9.0.${number}/24 dev eth0
    ip addr add fd09::${number}/64 dev eth0 nodad
    ip link set eth0 up
    ip link set wire up 2> /dev/null || true`);
  const runDir = mkdtempSync(join(tmpdir(), 'weft-kernel-'));
  return withKernel(space, runDir);
}

async function withKernel(space: Space, runDir: string): Promise<Host> {
  const kernel = await openKernel({ runDir, hostNamespace: space.file });
  const containers: Space[] = [];
  const close = async () => {
    for (const container of containers) container.remove();
    for (const own of await kernel.namespaces()) await kernel.removeNamespace(own);
    kernel.close();
    rmSync(runDir, { recursive: true });
    space.remove();
  };
  const takeEnd = (end: string) => void containers.push(addContainer(space, end, ''));
  return { ...space, kernel, runDir, takeEnd, close };
}

/** weft goes, and comes back knowing nothing. */
export async function restarted(host: Host): Promise<Host> {
  host.kernel.close();
  return withKernel(host, host.runDir);
}

/** A container, with that end of a link as its `eth0`. */
export function addContainer(host: Space, containerEnd: string, setUp: string): Space {
  const container = addSpace();
  host.run(`ip link set ${containerEnd} netns ${container.name} name eth0`);
  container.run(`ip link set eth0 up\n${setUp}`);
  return container;
}

/** Another local network, as Docker makes them: a bridge of the host with one container. */
export function addBridged(host: Host): Space {
  const container = addSpace();
  host.run(`ip link add br-other type bridge
    ip addr add 172.18.0.1/16 dev br-other
    ip link set br-other up
    ip link add weftk-leg master br-other type veth peer name eth1
    ip link set weftk-leg up
    ip link set eth1 netns ${container.name}`);
  container.run(`ip addr add 172.18.0.2/16 dev eth1
    ip link set eth1 up
    ip route add default via 172.18.0.1`);
  return container;
}

/** Echo requests that arrived at the container while something was done elsewhere. */
export function echoes(container: Space, meanwhile: () => void): number {
  const count = () => {
    const [names = '', values = ''] = container.run('grep ^Icmp: /proc/net/snmp').split('\n');
    return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
  };
  const before = count();
  meanwhile();
  return count() - before;
}
