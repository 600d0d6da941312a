import { readdir } from 'node:fs/promises';
import { tunnelVni } from '../../src/model/names.ts';
import { run } from './run.ts';

/** What hangs on the underlay: a host or an etcd member. */
export interface Port {
  readonly name: string;
  /** Counted from 1. */
  readonly segment: number;
  /** Last part of its addresses. */
  readonly number: number;
}

export interface UnderlayOptions {
  /** Ethernet segments, with a router between them. */
  readonly segments: number;
  readonly mtu: number;
}

/** Names of labs, hosts and members hold no dot, so one lab's namespaces are never taken for another's. */
export const namespaceOf = (lab: string, name: string): string => `weftlab.${lab}.${name}`;

const ipv4 = (segment: number, number: number) => `10.9.${segment}.${number}`;
const ipv6 = (segment: number, number: number) => `fd09:${segment}::${number}`;

export const addressOf = (port: Port): string => ipv4(port.segment, port.number);
export const address6Of = (port: Port): string => ipv6(port.segment, port.number);

/** Nothing listens on it: a name server here refuses at once, where one that is away would hang Docker. */
export const routerOf = (port: Port): string => ipv4(port.segment, 254);

/** A host keeps its MAC over a power cut, as the neighbours of others do. */
const macOf = ({ segment, number }: Port) => {
  const hex = (part: number) => part.toString(16).padStart(2, '0');
  return `02:09:00:00:${hex(segment)}:${hex(number)}`;
};

/**
 * Refusals are not to be rationed: each one that fails to come costs a name look-up 5 s. And a switch has no packet filter
 * for what it passes on within a segment.
 */
const routerSettings = `
  cd /proc/sys/net
  echo 1 >ipv4/ip_forward
  echo 1 >ipv6/conf/all/forwarding
  echo 0 >ipv4/icmp_ratelimit
  echo 0 >ipv6/icmp/ratelimit
  for call in bridge/bridge-nf-call-*tables; do [ ! -e "$call" ] || echo 0 >"$call"; done
`;

const linkOf = (port: string) => `to-${port}`;

/**
 * The wires between the hosts of a lab. One namespace is the switch, with a bridge for each segment, and the
 * router between segments; ports are veths made across namespaces. This machine's own network sees nothing.
 */
export class Underlay {
  readonly #lab: string;
  readonly #options: UnderlayOptions;
  readonly #switch: string;

  constructor(lab: string, options: UnderlayOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#switch = namespaceOf(lab, 'switch');
  }

  async create(): Promise<void> {
    const netns = this.#switch;
    await run(['ip', 'netns', 'add', netns]);
    const segments = Array.from({ length: this.#options.segments }, (_, index) => index + 1);
    await this.#ip(
      'link set lo up',
      ...segments.flatMap((segment) => [
        `link add seg${segment} mtu ${this.#options.mtu} type bridge stp_state 0`,
        `address add ${ipv4(segment, 254)}/24 dev seg${segment}`,
        `address add ${ipv6(segment, 254)}/64 dev seg${segment} nodad`,
        `link set seg${segment} up`,
      ]),
    );
    await run(['nsenter', `--net=/run/netns/${netns}`, 'sh', '-euc', routerSettings]);
  }

  /** Makes the port's network namespace, with `eth0` on the underlay in it. */
  async attach(port: Port): Promise<void> {
    const { mtu } = this.#options;
    const netns = namespaceOf(this.#lab, port.name);
    await run(['ip', 'netns', 'add', netns]);
    const link = linkOf(port.name);
    await this.#ip(
      `link add ${link} mtu ${mtu} type veth peer name eth0 address ${macOf(port)} mtu ${mtu} netns ${netns}`,
      `link set ${link} master seg${port.segment} up`,
    );
    await batch(netns, [
      'link set lo up',
      `address add ${addressOf(port)}/24 dev eth0`,
      `address add ${address6Of(port)}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via ${routerOf(port)}`,
      `route add default via ${ipv6(port.segment, 254)}`,
    ]);
  }

  /** The link first: it goes at once, where a namespace only goes some time after its last process. */
  async detach(port: Port): Promise<void> {
    await this.#ip(`link delete ${linkOf(port.name)}`);
    await run(['ip', 'netns', 'delete', namespaceOf(this.#lab, port.name)]);
  }

  /** A silent partition: frames of the port are dropped both ways, its carrier stays. */
  async cut(port: Port, from?: readonly Port[]): Promise<void> {
    const table = `netdev cut-${port.name}`;
    const chain = (hook: 'ingress' | 'egress', side: 'saddr' | 'daddr') => [
      `chain ${hook} {`,
      `type filter hook ${hook} device "${linkOf(port.name)}" priority 0; policy ${from ? 'accept' : 'drop'};`,
      ...(from ?? []).flatMap((peer) => [
        `ip ${side} ${addressOf(peer)} drop`,
        `ip6 ${side} ${address6Of(peer)} drop`,
      ]),
      '}',
    ];
    await this.#nft([
      `table ${table}`,
      `delete table ${table}`,
      `table ${table} {`,
      ...chain('ingress', 'daddr'),
      ...chain('egress', 'saddr'),
      '}',
    ]);
  }

  async heal(port: Port): Promise<void> {
    await this.#dropTable(`cut-${port.name}`);
  }

  /** As clouds and careful switches do: of what comes from the port, only its own addresses pass. */
  async guard(port: Port): Promise<void> {
    await this.#ingress(port, `guard-${port.name}`, [
      `ip saddr != ${addressOf(port)} drop`,
      `ip6 saddr != { ${address6Of(port)}, fe80::/10, :: } drop`,
    ]);
  }

  async unguard(port: Port): Promise<void> {
    await this.#dropTable(`guard-${port.name}`);
  }

  /** Counts from now on, anew, what comes from the port. */
  async tally(port: Port): Promise<void> {
    await this.#ingress(port, `tally-${port.name}`, [
      // The VNI, behind eight bytes of UDP and four of VXLAN: segments have traffic of their own.
      `udp dport 4789 @th,96,24 ${tunnelVni} counter comment "encapsulated"`,
      `ip protocol icmp ip saddr != ${addressOf(port)} counter comment "foreign"`,
    ]);
  }

  /** Since `tally`: packets that routed networks encapsulate, and pings from other addresses than the port's own. */
  async tallied(port: Port): Promise<{ readonly encapsulated: number; readonly foreign: number }> {
    const listing = await this.#nft([`list table netdev tally-${port.name}`]);
    const count = (what: string) =>
      Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${what}"`).exec(listing)?.[1]);
    return { encapsulated: count('encapsulated'), foreign: count('foreign') };
  }

  /** Of both ends of the port's link; what is larger is dropped by who receives it, without a word. */
  async setMtu(port: Port, mtu: number): Promise<void> {
    await this.#ip(`link set ${linkOf(port.name)} mtu ${mtu}`);
    await batch(namespaceOf(this.#lab, port.name), [`link set eth0 mtu ${mtu}`]);
  }

  /** As pulling the cable does: the host sees NO-CARRIER. */
  async setCarrier(port: Port, state: 'up' | 'down'): Promise<void> {
    await this.#ip(`link set ${linkOf(port.name)} ${state}`);
  }

  #ingress(port: Port, table: string, rules: readonly string[]): Promise<string> {
    return this.#nft([
      `table netdev ${table}`,
      `delete table netdev ${table}`,
      `table netdev ${table} {`,
      'chain ingress {',
      `type filter hook ingress device "${linkOf(port.name)}" priority -10; policy accept;`,
      ...rules,
      '}',
      '}',
    ]);
  }

  #dropTable(name: string): Promise<string> {
    return this.#nft([`table netdev ${name}`, `delete table netdev ${name}`]);
  }

  #ip(...commands: string[]): Promise<string> {
    return batch(this.#switch, commands);
  }

  #nft(lines: readonly string[]): Promise<string> {
    return run(['ip', 'netns', 'exec', this.#switch, 'nft', '-f', '-'], { input: lines.join('\n') });
  }
}

function batch(netns: string, commands: readonly string[]): Promise<string> {
  return run(['ip', '-netns', netns, '-batch', '-'], { input: commands.join('\n') });
}

/** Names of all namespaces that a lab has left or still uses. */
export async function namespacesOf(lab: string): Promise<string[]> {
  const names = await readdir('/run/netns').catch(() => []);
  return names.filter((name) => name.startsWith(namespaceOf(lab, '')));
}

/** Deletes the links to the ports (so that they are gone now), then the namespaces. */
export async function removeNamespaces(lab: string): Promise<void> {
  const names = await namespacesOf(lab);
  const hub = namespaceOf(lab, 'switch');
  if (names.includes(hub)) {
    const links = await run(['ip', '-netns', hub, '-json', 'link', 'show', 'type', 'veth']).catch(() => '[]');
    for (const { ifname } of JSON.parse(links || '[]')) {
      await run(['ip', '-netns', hub, 'link', 'delete', ifname]);
    }
  }
  for (const name of names) await run(['ip', 'netns', 'delete', name]);
}
