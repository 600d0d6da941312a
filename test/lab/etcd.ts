import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freezeCgroup, killCgroup, makeCgroup } from './cgroup.ts';
import { launch } from './launch.ts';
import { run } from './run.ts';
import { address6Of, addressOf, namespaceOf, type Port } from './underlay.ts';
import { waitFor } from './wait.ts';

export interface EtcdContext {
  readonly lab: string;
  readonly folder: string;
  readonly cgroup: string;
  /** Root that etcd and etcdctl are run from. */
  readonly rootfs: string;
  readonly ports: readonly Port[];
}

const clientUrl = (port: Port) => `http://${addressOf(port)}:2379`;
const clientUrl6 = (port: Port) => `http://[${address6Of(port)}]:2379`;
const peerUrl = (port: Port) => `http://${addressOf(port)}:2380`;

/** An etcd cluster on the underlay, each member in a namespace and a cgroup of its own. */
export class Etcd {
  readonly members: readonly EtcdMember[];

  readonly #lab: string;

  constructor(context: EtcdContext) {
    this.#lab = context.lab;
    this.members = context.ports.map((port) => new EtcdMember(context, port));
  }

  /** Client URLs, as the hosts reach them, joined by commas. */
  get endpoints(): string {
    return this.members.map((member) => member.url).join(',');
  }

  /** The same over IPv6. */
  get endpoints6(): string {
    return this.members.map((member) => clientUrl6(member.port)).join(',');
  }

  member(name: string): EtcdMember {
    const member = this.members.find((candidate) => candidate.port.name === name);
    if (member === undefined) throw new Error(`lab ${this.#lab} has no etcd member ${name}`);
    return member;
  }

  /** Returns when all members serve. */
  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
    await this.healthy();
  }

  async healthy(timeoutMs?: number): Promise<void> {
    await Promise.all(this.members.map((member) => member.healthy(timeoutMs)));
  }

  /** Who leads now, and who follows. @throws while nobody leads */
  async roles(): Promise<{ readonly leader: EtcdMember; readonly followers: readonly EtcdMember[] }> {
    const ids = await Promise.all(this.members.map((member) => member.ids()));
    const leads = (index: number) => ids[index]?.own === ids[index]?.leader;
    const leader = this.members.find((_, index) => leads(index));
    if (leader === undefined) throw new Error(`no etcd member of lab ${this.#lab} leads`);
    return { leader, followers: this.members.filter((member) => member !== leader) };
  }

  /** Returns when another member leads. */
  async moveLeader(): Promise<void> {
    const {
      leader,
      followers: [next],
    } = await this.roles();
    if (next === undefined) throw new Error(`lab ${this.#lab} has no etcd member that could lead instead`);
    const { own } = await next.ids();
    await leader.ctl(['move-leader', own]);
  }

  /** Runs `etcdctl` against the first member and answers its output. @throws CommandError */
  ctl(args: readonly string[], options?: { timeoutMs?: number; input?: string }): Promise<string> {
    return this.#first.ctl(args, options);
  }

  /** As a member does that has no room left: all refuse to store more, until `etcdctl alarm disarm`. */
  raiseAlarm(): Promise<void> {
    return this.#first.raiseAlarm();
  }

  get #first(): EtcdMember {
    const [first] = this.members;
    if (first === undefined) throw new Error(`lab ${this.#lab} has no etcd`);
    return first;
  }
}

export class EtcdMember {
  readonly port: Port;
  readonly url: string;
  /** Folder of its data, as seen from outside. */
  readonly state: string;
  readonly #context: EtcdContext;
  readonly #cgroup: string;

  constructor(context: EtcdContext, port: Port) {
    this.port = port;
    this.url = clientUrl(port);
    this.state = join(context.folder, port.name);
    this.#context = context;
    this.#cgroup = join(context.cgroup, port.name);
  }

  /** Returns when the process runs; `healthy` waits until it serves, which takes a majority. */
  async start(): Promise<void> {
    const { folder, ports } = this.#context;
    await mkdir(this.state, { recursive: true });
    await makeCgroup(this.#cgroup);
    const script = 'mount --bind "$1" "$2/var/lib/etcd" && shift && echo started && exec chroot "$@" >&2';
    await launch(
      this.#cgroup,
      [
        ...this.#netns(),
        // As a slave it lets go of the pins of namespaces, which it sees too, when those are removed.
        ...[
          'unshare',
          '--mount',
          '--propagation=slave',
          'sh',
          '-c',
          script,
          'sh',
          this.state,
          this.#context.rootfs,
        ],
        ...['etcd', `--name=${this.port.name}`, '--data-dir=/var/lib/etcd/data', '--unsafe-no-fsync'],
        `--listen-client-urls=${this.url},${clientUrl6(this.port)},http://127.0.0.1:2379`,
        `--advertise-client-urls=${this.url}`,
        `--listen-peer-urls=${peerUrl(this.port)}`,
        `--initial-advertise-peer-urls=${peerUrl(this.port)}`,
        `--initial-cluster=${ports.map((port) => `${port.name}=${peerUrl(port)}`).join(',')}`,
      ],
      join(folder, `${this.port.name}.log`),
    );
  }

  async healthy(timeoutMs?: number): Promise<void> {
    const health = () => this.ctl(['endpoint', 'health'], { timeoutMs: 5_000 });
    await waitFor(`health of ${this.port.name}`, async () => (await health()) !== undefined, timeoutMs);
  }

  /** Hexadecimal, as etcdctl takes them: its own, and that of who leads. */
  async ids(): Promise<{ readonly own: string; readonly leader: string }> {
    const status = await this.ctl(['endpoint', 'status', '--write-out=fields']);
    const idOf = (field: string) =>
      BigInt(new RegExp(`^"${field}" : (\\d+)$`, 'm').exec(status)?.[1] ?? 0).toString(16);
    return { own: idOf('MemberID'), leader: idOf('Leader') };
  }

  /** Kills it, as a crash does; `start` brings it back over the same data. */
  kill(): Promise<void> {
    return killCgroup(this.#cgroup);
  }

  /** Connections stay open and get no answer: harder on a client than death. */
  freeze(): Promise<void> {
    return freezeCgroup(this.#cgroup, true);
  }

  thaw(): Promise<void> {
    return freezeCgroup(this.#cgroup, false);
  }

  /** Runs `etcdctl` against this member alone. @throws CommandError */
  ctl(args: readonly string[], { timeoutMs = 30_000, input = '' } = {}): Promise<string> {
    const argv = [...this.#inside(), 'env', 'ETCDCTL_API=3', 'etcdctl', ...args];
    return run(argv, { title: `${this.port.name}: etcdctl ${args.join(' ')}`, timeoutMs, input });
  }

  /** By etcd's HTTP gateway: etcdctl can only list and disarm. @throws CommandError */
  async raiseAlarm(): Promise<void> {
    const alarm = JSON.stringify({ action: 'ACTIVATE', alarm: 'NOSPACE' });
    await run([
      ...this.#inside(),
      ...['curl', '--silent', '--show-error', '--fail', '--data', alarm, `${this.url}/v3/maintenance/alarm`],
    ]);
  }

  #inside(): string[] {
    return [...this.#netns(), 'chroot', this.#context.rootfs];
  }

  #netns(): string[] {
    return ['nsenter', `--net=/run/netns/${namespaceOf(this.#context.lab, this.port.name)}`];
  }
}
