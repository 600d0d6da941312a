import { Dockerd, daemonSettings } from './dockerd.ts';
import { type ExecOptions, Machine, type MachineSpec, type Process } from './machine.ts';
import { installPlugin } from './managed-plugin.ts';
import { type DockerVersion, isAtLeast } from './rootfs.ts';
import { toolsImage } from './tools-image.ts';
import { address6Of, addressOf, namespaceOf, type Port, routerOf, type Underlay } from './underlay.ts';

export interface HostSpec {
  readonly name: string;
  readonly docker: DockerVersion;
  /** Added to /etc/docker/daemon.json: `{ 'live-restore': true }`. */
  readonly daemon?: Readonly<Record<string, unknown>>;
  /** Folders of this machine that it sees at the same path. */
  readonly shared?: readonly string[];
}

export interface HostContext {
  readonly lab: string;
  readonly folder: string;
  readonly cgroup: string;
  readonly rootfs: string;
  readonly port: Port;
  readonly underlay: Underlay;
}

/** A Docker host on the underlay: `eth0`, containerd, dockerd and a disk that survives power cuts. */
export class Host {
  readonly name: string;
  /** Its IPv4 address on the underlay. */
  readonly address: string;
  readonly address6: string;
  readonly #docker: DockerVersion;
  readonly #context: HostContext;
  readonly #spec: MachineSpec;
  #machine: Machine | undefined;

  constructor(spec: HostSpec, context: HostContext) {
    this.name = spec.name;
    this.address = addressOf(context.port);
    this.address6 = address6Of(context.port);
    this.#docker = spec.docker;
    this.#context = context;
    this.#spec = {
      name: spec.name,
      folder: context.folder,
      cgroup: context.cgroup,
      rootfs: context.rootfs,
      netns: namespaceOf(context.lab, spec.name),
      shared: spec.shared ?? [],
      etc: {
        'docker/daemon.json': JSON.stringify({ ...daemonSettings, ...spec.daemon }),
        hostname: `${spec.name}\n`,
        hosts: `127.0.0.1 localhost\n::1 localhost\n${this.address} ${spec.name}\n`,
        'resolv.conf': `nameserver ${routerOf(context.port)}\n`,
      },
    };
    this.#machine = Machine.find(this.#spec);
  }

  /** Switches it on, for the first time or after a power cut; returns when dockerd answers. */
  async boot(): Promise<void> {
    await this.#context.underlay.attach(this.#context.port);
    this.#machine = await Machine.boot(this.#spec);
    await this.startDockerd();
  }

  /** All its processes die at once and its network goes; its disk stays. */
  async powerCut(): Promise<void> {
    await this.#running.powerCut();
    this.#machine = undefined;
    await this.#context.underlay.detach(this.#context.port);
  }

  /** Whether its Docker is that one or a newer one. */
  isAtLeast(docker: DockerVersion): boolean {
    return isAtLeast(this.#docker, docker);
  }

  get isUp(): boolean {
    return this.#machine !== undefined;
  }

  /** Its PID 1 as this machine knows it. */
  get pid(): number {
    return this.#running.pid;
  }

  /** Runs `docker` and answers its output. @throws CommandError */
  async docker(args: readonly string[], options?: ExecOptions): Promise<string> {
    return this.#dockerd.docker(args, options);
  }

  /** Runs a command and answers its output. @throws CommandError */
  async exec(argv: readonly string[], options?: ExecOptions): Promise<string> {
    return this.#running.exec(argv, options);
  }

  /** Runs a command on the caller's terminal and answers its exit code. */
  execAttached(argv: readonly string[]): Promise<number> {
    return this.#running.execAttached(argv);
  }

  /** Starts a program that lives on; its log is /var/log/NAME.log. */
  start(name: string, argv: readonly string[]): Promise<Process> {
    return this.#running.start(name, argv);
  }

  /** Where a path of the host is found from outside: files to read and write, sockets to dial. */
  path(inside: string): string {
    return this.#running.path(inside);
  }

  startDockerd(): Promise<void> {
    return this.#dockerd.start();
  }

  stopDockerd(): Promise<void> {
    return this.#dockerd.stop();
  }

  killDockerd(): Promise<void> {
    return this.#dockerd.kill();
  }

  dockerdProcess(): Promise<Process> {
    return this.#dockerd.process();
  }

  /** Installs and enables a managed plugin, from a folder with config.json and rootfs/. Restarts dockerd. */
  installPlugin(
    buildFolder: string,
    name = 'weft-plugin',
    settings: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    return installPlugin({ machine: this.#running, dockerd: this.#dockerd }, buildFolder, name, settings);
  }

  /** Loads the image that test containers run. */
  async importTools(tar: string): Promise<void> {
    await this.docker(['import', '--change', 'CMD ["sh"]', '-', toolsImage], { inputFile: tar });
  }

  get #running(): Machine {
    if (this.#machine === undefined) throw new Error(`${this.name} is switched off; boot() it`);
    return this.#machine;
  }

  get #dockerd(): Dockerd {
    return new Dockerd(this.#running);
  }
}
