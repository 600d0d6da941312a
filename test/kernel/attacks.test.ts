/**
 * What somebody tries who has all rights over the network of a container, or a machine beside the hosts: to be heard as
 * another, to be sent what is for another, to get into a network from outside. By frames put together by hand.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { routed } from '../../src/fabric/routed.ts';
import { vxlan } from '../../src/fabric/vxlan.ts';
import { linkLocalOf } from '../../src/model/address.ts';
import { nextHopMac } from '../../src/model/names.ts';
import { arp, datagram, echoRequest, neighbourDiscovery, sendFrames } from './frames.ts';
import { addBridged, type Space } from './host.ts';
import {
  allReachAll,
  type Member,
  type ThreeHosts,
  threeHosts,
  vni,
  Wiring,
  waiting,
} from './three-hosts.ts';

/** A container, and what it is known by. */
interface Party {
  readonly space: Space;
  readonly member: Member;
  readonly mac: string;
  readonly 4: string;
  readonly 6: string;
}

let hosts: ThreeHosts;
let wiring: Wiring;
let strangers: Space[];
let [attacker, victim, bystander]: Party[] = [];

async function wire(fabric: typeof vxlan): Promise<void> {
  hosts = await threeHosts('IPv4');
  strangers = [];
  wiring = new Wiring(fabric, hosts.members, fabric.isolated ? { broadcast: true } : {});
  await wiring.guard();
  const spaces = await wiring.wireAll();
  await allReachAll(spaces, hosts.members);
  [attacker, victim, bystander] = hosts.members.map((member, index): Party => {
    const [space, [ip4 = '', ip6 = '']] = [spaces[index], member.endpoint.addresses];
    if (space === undefined) throw new Error('each host has a container');
    return { space, member, mac: member.endpoint.mac, 4: ip4, 6: ip6 };
  });
}

afterEach(async () => {
  for (const space of strangers) space.remove();
  wiring.remove();
  await hosts.close();
});

function parties(): { readonly attacker: Party; readonly victim: Party; readonly bystander: Party } {
  if (attacker === undefined || victim === undefined || bystander === undefined) throw new Error('not wired');
  return { attacker, victim, bystander };
}

type Counter = 'InEchos' | 'NoPorts' | 'Icmp6InEchos' | 'Icmp6InRouterAdvertisements' | 'Icmp6InRedirects';

function counted({ space }: Party, counter: Counter): number {
  if (counter !== 'InEchos' && counter !== 'NoPorts') {
    return Number(space.run(`grep -w ${counter} /proc/net/snmp6`).replace(/\D*6\D+/, ''));
  }
  const protocol = counter === 'InEchos' ? 'Icmp' : 'Udp';
  const [names = '', values = ''] = space.run(`grep ^${protocol}: /proc/net/snmp`).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf(counter)]);
}

/** The MAC at which the container believes an address to be. */
function believed({ space }: Party, address: string): string | undefined {
  return /lladdr (\S+)/.exec(space.run(`ip neigh show ${address} dev eth0`))?.[1];
}

/** Does it, and waits until what the attacker may send has arrived, which comes last. */
async function thenHonestly(attack: () => void): Promise<void> {
  const { attacker, victim } = parties();
  const before = counted(victim, 'InEchos');
  attack();
  const middle = counted(victim, 'InEchos');
  sendFrames(attacker.space, [echoRequest(way(), attacker[4], victim[4])]);
  await vi.waitUntil(() => counted(victim, 'InEchos') > Math.max(before, middle), waiting);
}

/** From the attacker to the victim, as it would be done honestly. */
function way(): { readonly from: string; readonly to: string } {
  const { attacker, victim } = parties();
  return { from: attacker.mac, to: wiring.fabric.isolated ? victim.mac : nextHopMac };
}

const strange = {
  4: ['10.77.0.9', '10.79.0.2', '10.9.0.1', '10.9.0.2', '127.0.0.1', '8.8.8.8', '0.0.0.0'],
  6: ['fd77::9', 'fd79::2', 'fd09::1', '::1', '2001:db8::1', 'fe80::1'],
} as const;

describe.each([routed, vxlan])('on a $name network', (fabric) => {
  beforeEach(() => wire(fabric));

  test.each([
    [4, 'InEchos'],
    [6, 'Icmp6InEchos'],
  ] as const)('nobody is heard with another’s IPv%d address, or MAC', async (family, counter) => {
    const { attacker, victim, bystander } = parties();
    const [own, target] = [attacker[family], victim[family]];
    const forged = [bystander[family], target, ...strange[family]].map((source) =>
      echoRequest(way(), source, target),
    );
    const asOthers = [bystander.mac, victim.mac, '02:66:66:66:66:66'].flatMap((from) => [
      echoRequest({ ...way(), from }, own, target),
      echoRequest({ ...way(), from }, bystander[family], target),
    ]);
    const before = counted(victim, counter);
    await thenHonestly(() => sendFrames(attacker.space, [...forged, ...asOthers]));
    const honest = family === 4 ? 1 : 0;
    expect(counted(victim, counter) - before).toBe(honest);
    sendFrames(attacker.space, [echoRequest(way(), own, target)]);
    await vi.waitUntil(() => counted(victim, counter) - before === honest + 1, waiting);
  });
});

describe('on a segment', () => {
  beforeEach(() => wire(vxlan));

  const everybody = { mac: 'ff:ff:ff:ff:ff:ff', address: '255.255.255.255' };
  const allNodes = { mac: '33:33:00:00:00:01', address: 'ff02::1' };

  /** Each says that the bystander's address is at the attacker. */
  function lies(): { readonly arp: Buffer[]; readonly discovery: Buffer[] } {
    const { attacker, victim, bystander } = parties();
    const to = { mac: victim.mac, address: victim[4] };
    const claim = { mac: attacker.mac, address: bystander[4] };
    const macs = { from: attacker.mac, to: victim.mac, told: attacker.mac };
    const of = { to: victim[6], target: bystander[6] };
    return {
      arp: [
        arp('reply', claim, to),
        arp('request', claim, to),
        arp('reply', claim, { ...everybody, address: claim.address }),
        arp('request', claim, { ...everybody, address: claim.address }),
        arp('reply', claim, to, bystander.mac),
      ],
      discovery: [
        neighbourDiscovery('neighbor-advert', macs, { ...of, from: attacker[6] }),
        neighbourDiscovery('neighbor-advert', macs, { ...of, from: linkLocalOf(attacker.mac) }),
        neighbourDiscovery('neighbor-advert', macs, { ...of, from: bystander[6] }),
        neighbourDiscovery(
          'neighbor-advert',
          { ...macs, from: bystander.mac },
          { ...of, from: bystander[6] },
        ),
        neighbourDiscovery(
          'neighbor-advert',
          { ...macs, to: allNodes.mac },
          {
            ...{ from: attacker[6], to: allNodes.address, target: bystander[6] },
          },
        ),
        neighbourDiscovery('neighbor-solicit', macs, {
          from: bystander[6],
          to: victim[6],
          target: victim[6],
        }),
      ],
    };
  }

  function asRouter(): Buffer[] {
    const { attacker, victim } = parties();
    const macs = { from: attacker.mac, to: allNodes.mac, told: attacker.mac };
    const from = linkLocalOf(attacker.mac);
    return [
      neighbourDiscovery('router-advert', macs, { from, to: allNodes.address, target: from }),
      neighbourDiscovery('router-advert', { ...macs, to: victim.mac }, { from, to: victim[6], target: from }),
      neighbourDiscovery('redirect', { ...macs, to: victim.mac }, { from, to: victim[6], target: victim[6] }),
    ];
  }

  test('nobody is sent what is for another', async () => {
    const { attacker, victim, bystander } = parties();
    const { arp, discovery } = lies();
    for (const frame of [...arp, ...discovery]) {
      await thenHonestly(() => sendFrames(attacker.space, [frame]));
      for (const family of [4, 6] as const) {
        expect(believed(victim, bystander[family])).toBe(bystander.mac);
      }
    }
  });

  test('nobody passes for a router', async () => {
    const { attacker, victim } = parties();
    await thenHonestly(() => sendFrames(attacker.space, asRouter()));
    expect(counted(victim, 'Icmp6InRouterAdvertisements')).toBe(0);
    expect(counted(victim, 'Icmp6InRedirects')).toBe(0);
  });

  test('without weft’s filter these deceive', async () => {
    const { attacker, victim, bystander } = parties();
    const { filters } = await wiring.namespaceOf(attacker.member);
    await filters.bridge.remove();
    const { arp, discovery } = lies();
    await vi.waitUntil(() => {
      sendFrames(attacker.space, [...arp, ...discovery, ...asRouter()]);
      const isDeceived = ([4, 6] as const).every(
        (family) => believed(victim, bystander[family]) === attacker.mac,
      );
      return isDeceived && counted(victim, 'Icmp6InRouterAdvertisements') > 0;
    }, waiting);
  });

  describe('by VXLAN', () => {
    /** A ping and a datagram for the victim from the bystander, as if a host had encapsulated them. */
    function inject(from: Space, to: string, source = '0.0.0.0'): void {
      const { victim, bystander } = parties();
      const header = Buffer.from(`08000000${vni.toString(16).padStart(6, '0')}00`, 'hex');
      const messages = [datagram, echoRequest].map((make) => {
        const frame = make({ from: bystander.mac, to: victim.mac }, bystander[4], victim[4]);
        return Buffer.concat([header, frame]).toString('hex');
      });
      const script = `const s = require('dgram').createSocket('udp4');
        const send = (hex, then) => s.send(Buffer.from(hex, 'hex'), 4789, '${to}', then);
        s.bind(0, '${source}', () => send('${messages[0]}', () => send('${messages[1]}', () => s.close())));`;
      from.run(`${process.execPath} -e "${script}"`);
    }

    /** Pings and datagrams that came of it. */
    async function injected(attack: () => void): Promise<[number, number]> {
      const { victim } = parties();
      const [pings, datagrams] = [counted(victim, 'InEchos'), counted(victim, 'NoPorts')];
      await thenHonestly(attack);
      return [counted(victim, 'InEchos') - pings - 1, counted(victim, 'NoPorts') - datagrams];
    }

    function bridgedOn({ member }: Party): Space {
      const space = addBridged(member.host);
      strangers.push(space);
      return space;
    }

    test('no stranger on the underlay gets in', async () => {
      const { attacker, victim } = parties();
      const stranger = hosts.stranger();
      await vi.waitUntil(() => stranger.pings(victim.member.address), waiting);
      expect(await injected(() => inject(stranger, victim.member.address))).toEqual([0, 0]);
      // As it is done by another host.
      expect(await injected(() => inject(attacker.member.host, victim.member.address))).toEqual([1, 1]);
    });

    test('no container gets in that is on another network of the same host', async () => {
      const { attacker, victim } = parties();
      const container = bridgedOn(victim);
      await vi.waitUntil(() => container.pings(victim.member.address), waiting);
      expect(await injected(() => inject(container, victim.member.address))).toEqual([0, 0]);
      const { address } = attacker.member;
      container.run(`ip addr add ${address}/32 dev eth1`);
      expect(await injected(() => inject(container, victim.member.address, address))).toEqual([0, 0]);
    });

    test('no container gets in that leaves another host with its address', async () => {
      const { attacker, victim } = parties();
      const container = bridgedOn(attacker);
      attacker.member.host.run(`nft -f - <<'.'
        table ip theirs {
          chain out { type nat hook postrouting priority 100; ip saddr 172.18.0.0/16 masquerade; };
        }
.`);
      await vi.waitUntil(() => container.pings(victim.member.address), waiting);
      expect(await injected(() => inject(container, victim.member.address))).toEqual([0, 0]);
      await attacker.member.host.kernel.host.filters.inet.remove();
      expect(await injected(() => inject(container, victim.member.address))).toEqual([1, 1]);
    });
  });
});
