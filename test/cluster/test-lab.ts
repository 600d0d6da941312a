/** Labs for the tests of a file, or of a `describe`: up before the first of them, and gone after the last. */
import { afterAll, beforeAll } from 'vitest';
import type { HostSpec } from '../lab/host.ts';
import { Lab, type LabSpec } from '../lab/lab.ts';
import { dockerVersions } from '../lab/rootfs.ts';
import { type ClusterSpec, installWeft, labOf } from './cluster.ts';

const askedDocker = process.env.WEFT_TEST_DOCKER;

/** The hosts as a test wants them, or with the one Docker that the run is asked for. */
export function withAskedDocker(hosts: readonly HostSpec[]): readonly HostSpec[] {
  if (!askedDocker) return hosts;
  const docker = dockerVersions.find((version) => version === askedDocker);
  if (docker === undefined) {
    throw new Error(`WEFT_TEST_DOCKER must be one of ${dockerVersions.join(', ')}, not ${askedDocker}`);
  }
  return hosts.map((host) => ({ ...host, docker }));
}

/** A host of each version: h1 has Docker 20.10, h2 26.1, h3 28.5. */
export const everyDocker = withAskedDocker(
  dockerVersions.map((docker, index) => ({ name: `h${index + 1}`, docker })),
);

/** Hosts without weft. */
export function testLab(spec: LabSpec): Lab {
  const lab = new Lab({ ...spec, hosts: withAskedDocker(spec.hosts) });
  beforeAll(() => lab.up());
  afterAll(() => lab.down());
  return lab;
}

export function testCluster(spec: ClusterSpec): Lab {
  const lab = testLab(labOf(spec));
  beforeAll(() => installWeft(lab, spec));
  return lab;
}
