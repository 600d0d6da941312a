/** What is a segment's own: what is for all, and two of them that have the same addresses; with real packets. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { vxlan } from '../../src/fabric/vxlan.ts';
import { echoes, type Space } from './host.ts';
import { allReachAll, type Member, type ThreeHosts, threeHosts, Wiring, waiting } from './three-hosts.ts';

let hosts: ThreeHosts;
let members: readonly Member[];
let wiring: Wiring;
beforeEach(async () => {
  hosts = await threeHosts('IPv4');
  members = hosts.members;
});
afterEach(async () => {
  wiring.remove();
  await hosts.close();
});

/** Every container may send as itself only. */
async function wire(broadcast: boolean): Promise<readonly [Space, Space, Space]> {
  wiring = new Wiring(vxlan, members, { broadcast });
  await wiring.guard();
  const [one, two, three] = await wiring.wireAll();
  if (one === undefined || two === undefined || three === undefined) throw new Error('there are three');
  await allReachAll([one], members);
  return [one, two, three];
}

/** Of the frame within, behind the headers of UDP and VXLAN. */
const frames = {
  any: '',
  forOne: '@th,128,48 & 0x010000000000 == 0',
  arp: '@th,224,16 0x0806',
} as const;

/** Counts what comes to the host encapsulated. */
function encapsulated({ host }: Member, what: keyof typeof frames = 'any'): () => number {
  host.run(`nft -f - <<'.'
    table inet count-${what} {
      chain in { type filter hook input priority 0; udp dport 4789 ${frames[what]} counter; };
    }
.`);
  const list = `nft list chain inet count-${what} in`;
  return () => Number(/packets (\d+)/.exec(host.run(list))?.[1] ?? Number.NaN);
}

/** Who answers a ping of all. */
function answers(from: Space, ping: string): Set<string> {
  const output = from.run(`ping -c 2 -i 0.3 -W 1 ${ping} || true`);
  return new Set(
    Array.from(output.matchAll(/bytes from ([^\s%]+?)(%\w+)?:? /g), ([, address = '']) => address),
  );
}

describe('a segment', () => {
  test('finds IPv6 neighbours at home, and floods none of their multicast', async () => {
    const [one] = await wire(false);
    const [, two] = hosts.members;
    const count = encapsulated(two);
    one.run('ip -6 neigh flush all; ping -q -c 1 -W 1 ff02::1%eth0 || true');
    expect(count()).toBe(0);
    one.run('ip -6 neigh flush all');
    expect(one.pings(two.endpoint.addresses[1] ?? '')).toBe(true);
    // The echo request, and nothing about who has the address.
    expect(count()).toBe(1);
  });

  test('lets a container find that its addresses are its own', async () => {
    const [one] = await wire(false);
    one.run('ip addr add fd77::99/64 dev eth0');
    await vi.waitUntil(() => !one.run('ip -6 addr show dev eth0').includes('tentative'), waiting);
    expect(one.run('ip -6 addr show dev eth0')).not.toContain('dadfailed');
  });
});

describe('a segment that is to broadcast', () => {
  const heardBy = (of: readonly Member[], index: number) =>
    of.map(({ endpoint }) => endpoint.addresses[index]);

  test('brings what is for all to all hosts, and their answers back', async () => {
    const [one, two, three] = await wire(true);
    for (const space of [two, three]) space.run('sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0');
    const others = members.slice(1);
    await vi.waitFor(() => {
      for (const target of ['-b 10.77.255.255', '-I eth0 224.0.0.1']) {
        expect(answers(one, target)).toEqual(new Set(heardBy(others, 0)));
      }
    }, waiting);
    const linkLocal = (space: Space) => /fe80::\S+(?=\/64)/.exec(space.run('ip -6 addr show dev eth0'))?.[0];
    await vi.waitFor(() => {
      expect(answers(one, 'ff02::1%eth0')).toEqual(new Set([one, two, three].map(linkLocal)));
    }, waiting);
  });

  test('asks nobody for a neighbour that it knows, and sends to all nothing that is for one', async () => {
    const [one] = await wire(true);
    const [, two, three] = hosts.members;
    const forOne = [encapsulated(two, 'forOne'), encapsulated(three, 'forOne')];
    const questions = [encapsulated(two, 'arp'), encapsulated(three, 'arp')];
    const counts = (counters: readonly (() => number)[]) => counters.map((count) => count());
    one.run('ip neigh flush all; ip -6 neigh flush all');
    for (const address of two.endpoint.addresses) expect(one.pings(address)).toBe(true);
    expect(counts(forOne)).toEqual([2, 0]);
    one.run('ip neigh add 10.77.9.9 lladdr 02:57:0a:4d:09:09 dev eth0 nud permanent');
    expect(one.pings('10.77.9.9')).toBe(false);
    expect(counts(forOne)).toEqual([2, 0]);
    expect(counts(questions)).toEqual([0, 0]);
    // What nobody has, all are asked for.
    expect(one.pings('10.77.9.8')).toBe(false);
    expect(Math.min(...counts(questions))).toBeGreaterThan(0);
  });

  test('brings it only to hosts that have a container', async () => {
    const [one, two] = await wire(true);
    const [first, second, third] = hosts.members;
    for (const member of [first, second])
      await wiring.bringInLine(member, await wiring.viewOf(member, [first, second]));
    const count = encapsulated(third);
    two.run('sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0');
    expect(answers(one, '-b 10.77.255.255')).toEqual(new Set(heardBy([second], 0)));
    expect(count()).toBe(0);
  });

  test('lets nobody speak to all as another', async () => {
    const [one, two] = await wire(true);
    one.run('ip addr add 10.77.0.9/16 dev eth0');
    const speak = (source: string) => {
      for (const target of ['-b 10.77.255.255', '224.0.0.1']) {
        one.run(`ping -q -c 2 -i 0.3 -W 1 -I ${source} ${target} || true`);
      }
    };
    two.run('sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0');
    expect(echoes(two, () => speak('10.77.0.5'))).toBe(4);
    expect(echoes(two, () => speak('10.77.0.9'))).toBe(0);
  });
});
