import { join } from 'node:path';
import { labsCgroup } from './cgroup.ts';
import { Etcd } from './etcd.ts';
import { Host, type HostSpec } from './host.ts';
import { onInterrupt } from './interrupt.ts';
import { labFolder, readRecord, thisProcess } from './record.ts';
import { removeLab, removeOrphans, takeName } from './removal.ts';
import { rootfs, rootfsPath, toolbox } from './rootfs.ts';
import { toolsTar } from './tools-image.ts';
import { type Port, Underlay } from './underlay.ts';

export interface LabSpec {
  /** Labs of different names can be up at once. */
  readonly name: string;
  readonly hosts: readonly HostSpec[];
  /** Default: no etcd. */
  readonly etcd?: { readonly members: 1 | 3 };
  /** Of the underlay; default 1500. */
  readonly mtu?: number;
  /** 2: odd and even hosts sit in different subnets, with a router between them. Default 1. */
  readonly segments?: 1 | 2;
}

/** Docker hosts and etcd members on a network of their own, all of it in namespaces of this machine. */
export class Lab {
  readonly name: string;
  readonly hosts: readonly Host[];
  readonly etcd: Etcd;
  readonly #spec: LabSpec;
  readonly #underlay: Underlay;
  readonly #ports: readonly Port[];

  /** It is known where everything will be; nothing is there until it is `up`. */
  constructor(spec: LabSpec) {
    const { name: lab, segments = 1, mtu = 1500 } = spec;
    const underlay = new Underlay(lab, { segments, mtu });
    const hosts = spec.hosts.map((host, index) => {
      const port = { name: host.name, segment: 1 + (index % segments), number: index + 1 };
      const folder = join(labFolder(lab), host.name);
      const cgroup = join(labsCgroup(), lab, host.name);
      return {
        port,
        host: new Host(host, { lab, folder, cgroup, rootfs: rootfsPath(host.docker), port, underlay }),
      };
    });
    const members = Array.from({ length: spec.etcd?.members ?? 0 }, (_, index) => ({
      ...{ name: `etcd${index + 1}`, segment: 1, number: 201 + index },
    }));
    this.name = lab;
    this.#spec = spec;
    this.hosts = hosts.map(({ host }) => host);
    this.etcd = new Etcd({
      ...{ lab, rootfs: rootfsPath(toolbox), ports: members },
      ...{ folder: labFolder(lab), cgroup: join(labsCgroup(), lab) },
    });
    this.#underlay = underlay;
    this.#ports = [...hosts.map(({ port }) => port), ...members];
  }

  /** Makes a lab, as `up` does. */
  static async up(spec: LabSpec, options: { readonly keep?: boolean } = {}): Promise<Lab> {
    const lab = new Lab(spec);
    await lab.up(options);
    return lab;
  }

  /** A lab that another process has made. */
  static async find(name: string): Promise<Lab> {
    const record = await readRecord(name);
    if (record === undefined) throw new Error(`there is no lab ${name}; make it with: npm run lab -- up`);
    return new Lab(record.spec);
  }

  /**
   * Makes it, in place of what an earlier one of that name has left, and returns when all its dockerds
   * and etcd members answer. It ends with this process, unless it is to be kept.
   */
  async up(options: { readonly keep?: boolean } = {}): Promise<void> {
    checkNames(this.#spec);
    await removeOrphans();
    await Promise.all([toolbox, ...this.#spec.hosts.map(({ docker }) => docker)].map(rootfs));
    const tools = await toolsTar();
    await takeName({ spec: this.#spec, ...(options.keep ? {} : { owner: thisProcess() }) });
    this.#remove = () => removeLab(this.name);
    const forget = onInterrupt(this.#remove);
    this.#forget = forget;
    try {
      await this.#start(tools);
      if (options.keep) forget();
    } catch (error) {
      await this.down();
      throw error;
    }
  }

  /** Takes away what `up` has made. */
  async down(): Promise<void> {
    this.#forget();
    await this.#remove();
  }

  host(name: string): Host {
    const host = this.hosts.find((candidate) => candidate.name === name);
    if (host === undefined) throw new Error(`lab ${this.name} has no host ${name}`);
    return host;
  }

  /**
   * Cuts a host or etcd member off the underlay, from all or from some, in silence: its carrier stays.
   * A later cut of the same one replaces the first.
   */
  cutOff(name: string, from?: readonly string[]): Promise<void> {
    return this.#underlay.cut(
      this.#port(name),
      from?.map((peer) => this.#port(peer)),
    );
  }

  heal(name: string): Promise<void> {
    return this.#underlay.heal(this.#port(name));
  }

  /** Pulls or plugs in the cable of a host or etcd member. */
  setCarrier(name: string, state: 'up' | 'down'): Promise<void> {
    return this.#underlay.setCarrier(this.#port(name), state);
  }

  /** From now on the underlay drops what the host sends with addresses that are not its own. */
  guard(name: string): Promise<void> {
    return this.#underlay.guard(this.#port(name));
  }

  unguard(name: string): Promise<void> {
    return this.#underlay.unguard(this.#port(name));
  }

  tally(name: string): Promise<void> {
    return this.#underlay.tally(this.#port(name));
  }

  tallied(name: string): ReturnType<Underlay['tallied']> {
    return this.#underlay.tallied(this.#port(name));
  }

  setMtu(name: string, mtu: number): Promise<void> {
    return this.#underlay.setMtu(this.#port(name), mtu);
  }

  #forget = () => {};
  /** A lab whose name another process has taken is not this one's to remove. */
  #remove = async () => {};

  async #start(tools: string): Promise<void> {
    await this.#underlay.create();
    const outcomes = await Promise.allSettled([
      this.#startEtcd(),
      ...this.hosts.map(async (host) => {
        await host.boot();
        await host.importTools(tools);
      }),
    ]);
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    if (failures.length === 0) return;
    throw new AggregateError(failures, `lab ${this.name} did not come up: ${failures.join('; ')}`);
  }

  async #startEtcd(): Promise<void> {
    for (const member of this.etcd.members) await this.#underlay.attach(member.port);
    await this.etcd.start();
  }

  #port(name: string): Port {
    const port = this.#ports.find((candidate) => candidate.name === name);
    if (port === undefined) throw new Error(`lab ${this.name} has no host or etcd member ${name}`);
    return port;
  }
}

/** Names go into those of namespaces, folders and links; a link's has room for 15 bytes. */
function checkNames(spec: LabSpec): void {
  const names = spec.hosts.map((host) => host.name);
  const unfit = [spec.name, ...names].find((name) => !/^[a-z][a-z0-9-]{0,11}$/.test(name));
  if (unfit !== undefined)
    throw new Error(`${unfit}: a name is a letter and up to 11 letters, digits and dashes`);
  if (new Set([...names, 'switch', 'etcd1', 'etcd2', 'etcd3']).size !== names.length + 4) {
    throw new Error(`lab ${spec.name}: host names must differ and not be switch, etcd1, etcd2 or etcd3`);
  }
}
