/**
 * What users of Docker's own networks count on, as data: a row does something by Docker's commands, and says what
 * is to be seen then. The same rows run with each driver, so that what is otherwise with one of them is visible.
 */
import type { Host } from '../lab/host.ts';
import type { DockerVersion } from '../lab/rootfs.ts';

/** What `docker network create` is given for each driver. */
export const drivers = {
  bridge: ['--driver', 'bridge'],
  /** Each host is a swarm of its own. */
  overlay: ['--driver', 'overlay', '--attachable'],
  weft: ['--driver', 'weft', '--ipam-driver', 'weft-ipam'],
} as const;

export type Driver = keyof typeof drivers;

export interface Behaviour {
  readonly name: string;
  /** Begins with a host that has no containers or networks, and need not clean up. */
  readonly see: (bed: Bed) => Promise<unknown>;
  /** What is seen with Docker's own driver, bridge; may hold vitest's asymmetric matchers. */
  readonly holds: unknown;
  /** What is seen with another driver instead, and why: the README's table. */
  readonly differs?: Readonly<Partial<Record<Exclude<Driver, 'bridge'>, Difference>>>;
  /** The first Docker of the lab that has what the row is about; absent: all have it. */
  readonly since?: DockerVersion;
}

export interface Difference {
  readonly sees: unknown;
  readonly why: string;
  /** The first Docker of the lab that differs; absent: all do. */
  readonly since?: DockerVersion;
}

/** Where a row is tried. */
export interface Bed {
  readonly host: Host;
  /** An address out in the world. */
  readonly stranger: string;
  /** `docker network create` with the driver. */
  readonly createNetwork: (name: string, args?: readonly string[]) => Promise<void>;
}

/** What became of a command: `done`, or what it says. */
export function outcome(command: Promise<unknown>): Promise<string> {
  return command.then(
    () => 'done',
    (error) => String(error),
  );
}
