import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { killCgroup, makeCgroup, removeCgroup } from './cgroup.ts';
import { launch } from './launch.ts';
import { type RunOptions, run, runAttached } from './run.ts';
import { waitFor } from './wait.ts';

export interface MachineSpec {
  readonly name: string;
  /** Keeps what outlives a power cut. */
  readonly folder: string;
  readonly cgroup: string;
  readonly rootfs: string;
  /** Name of its network namespace; absent: the network of whoever runs the lab. */
  readonly netns?: string;
  /** Folders of the machine below that are seen inside at the same path. */
  readonly shared?: readonly string[];
  /** Files below /etc, written at each boot. */
  readonly etc: Readonly<Record<string, string>>;
}

export type ExecOptions = Pick<RunOptions, 'timeoutMs' | 'input' | 'inputFile' | 'signal'>;

const environment = [
  'HOME=/root',
  'LANG=C.UTF-8',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'TERM=xterm',
];

/** A Linux machine made of namespaces: own root, processes, name, cgroups and (mostly) network. */
export class Machine {
  readonly spec: MachineSpec;
  /** Its PID 1, as the outside knows it. */
  readonly pid: number;

  private constructor(spec: MachineSpec, pid: number) {
    this.spec = spec;
    this.pid = pid;
  }

  static async boot(spec: MachineSpec): Promise<Machine> {
    await mkdir(join(spec.folder, 'log'), { recursive: true });
    await rm(join(spec.folder, 'etc'), { recursive: true, force: true });
    for (const [path, text] of Object.entries(spec.etc)) {
      await mkdir(join(spec.folder, 'etc', path, '..'), { recursive: true });
      await writeFile(join(spec.folder, 'etc', path), text);
    }
    const leaf = join(spec.cgroup, 'init');
    // The cgroup namespace begins at the machine's cgroup; its processes then move to a leaf, as version 2
    // lets no cgroup hold both processes and children with controllers.
    await makeCgroup(spec.cgroup);
    await mkdir(leaf, { recursive: true });
    const pid = await launch(
      spec.cgroup,
      [
        ...(spec.netns === undefined ? [] : ['nsenter', `--net=/run/netns/${spec.netns}`]),
        ...['unshare', '--cgroup', 'sh', '-c', 'echo 0 >"$0/cgroup.procs" && exec unshare "$@"', leaf],
        ...['--mount', '--uts', '--ipc', '--pid', '--fork'],
        ...['bash', join(import.meta.dirname, 'host-init.sh'), spec.rootfs, spec.folder, spec.name],
        ...(spec.shared ?? []),
      ],
      join(spec.folder, 'log/boot.log'),
    );
    await writeFile(join(spec.folder, 'pid'), pid);
    return new Machine(spec, Number(pid));
  }

  /** The machine as another process of the lab has booted it, if it is up. */
  static find(spec: MachineSpec): Machine | undefined {
    try {
      const pid = Number(readFileSync(join(spec.folder, 'pid'), 'utf8'));
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8').match(/^0::(.*)$/m)?.[1];
      return cgroup !== undefined && join(spec.cgroup, 'init').endsWith(cgroup)
        ? new Machine(spec, pid)
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** The argv that runs a command inside; ends by itself after the time, which the command cannot outlive. */
  inside(argv: readonly string[], timeoutMs?: number): string[] {
    const limit = timeoutMs === undefined ? [] : ['timeout', '--kill-after=2', String(timeoutMs / 1000)];
    return [
      ...['sh', '-c', 'echo 0 >"$0" && exec nsenter "$@"', join(this.spec.cgroup, 'init/cgroup.procs')],
      ...['--target', String(this.pid), '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--'],
      ...['env', '--ignore-environment', ...environment, ...limit, ...argv],
    ];
  }

  /** Runs a command inside and answers its output. @throws CommandError */
  exec(argv: readonly string[], { timeoutMs = 60_000, ...options }: ExecOptions = {}): Promise<string> {
    const title = `${this.spec.name}: ${argv.join(' ')}`;
    return run(this.inside(argv, timeoutMs), { ...options, title, timeoutMs: timeoutMs + 5_000 });
  }

  execAttached(argv: readonly string[]): Promise<number> {
    return runAttached(this.inside(argv));
  }

  /** Starts a program that lives until it ends or the machine does. Log: /var/log/NAME.log. */
  async start(name: string, argv: readonly string[]): Promise<Process> {
    const script = 'log=$1; shift; setsid "$@" >>"$log" 2>&1 </dev/null & echo $!';
    const pid = await this.exec(['sh', '-c', script, 'sh', `/var/log/${name}.log`, ...argv]);
    return this.process(Number(pid));
  }

  process(pid: number): Process {
    const running = () => {
      try {
        return !/^State:\s+[ZX]/m.test(readFileSync(this.path(`/proc/${pid}/status`), 'utf8'));
      } catch {
        return false;
      }
    };
    return {
      pid,
      running,
      signal: async (signal) => {
        await this.exec(['kill', '-s', signal, String(pid)]);
      },
      ended: (timeoutMs) =>
        waitFor(`end of process ${pid} on ${this.spec.name}`, () => !running(), timeoutMs),
    };
  }

  /** Where a path of this machine is found from outside. Also good for sockets, where paths must be short. */
  path(inside: string): string {
    return join(`/proc/${this.pid}/root`, inside);
  }

  /** Kills all its processes at once, and commands that were only just coming in. What is on its disk stays. */
  async powerCut(): Promise<void> {
    await waitFor(`end of ${this.spec.name}`, async () => {
      await killCgroup(this.spec.cgroup);
      await removeCgroup(this.spec.cgroup);
      return true;
    });
  }
}

export interface Process {
  /** As the machine it runs on knows it. */
  readonly pid: number;
  readonly running: () => boolean;
  readonly signal: (signal: 'TERM' | 'KILL' | 'STOP' | 'CONT' | 'INT' | 'HUP') => Promise<void>;
  readonly ended: (timeoutMs?: number) => Promise<void>;
}
