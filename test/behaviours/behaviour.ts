/**
 * What users of Docker's own networks count on, as data: a row does something by Docker's commands, and says what
 * is to be seen then. The same rows run with each driver, so that what is otherwise with one of them is visible.
 */
import { expect } from 'vitest';
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
  /** What a row that fails is seen to say is its error. */
  readonly sees: unknown;
  /** What holds may be seen as well: it is by chance. */
  readonly isByChance?: true;
  readonly why: string;
  /** The first Docker of the lab that differs; absent: all do. */
  readonly since?: DockerVersion;
}

/**
 * Of rows in which a container is on several networks of overlay. Docker (`normalizeNetMode` in moby's daemon) wants the
 * network of `--net` to be on the host whenever it joins the container to one of its networks, which it does in the
 * order of a Go map; a network of a swarm is on a host only while something there is joined to it. After such a failure
 * swarm may hold back an address, and Docker does not try again to start what was to be up with its daemon.
 */
export const severalOfSwarm: Difference = {
  since: '26.1',
  isByChance: true,
  sees: expect.stringMatching(
    /could not find a network matching network mode|attaching to network failed|in vain: the container is on all/,
  ),
  why: 'Often fails from Docker 26.1 on, see below.',
};

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
