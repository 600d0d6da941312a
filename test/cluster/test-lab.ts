/** Labs for the tests of a file, or of a `describe`: up before the first of them, and gone after the last. */
import { afterAll, beforeAll } from 'vitest';
import type { HostSpec } from '../lab/host.ts';
import { Lab, type LabSpec } from '../lab/lab.ts';
import { dockerVersions } from '../lab/rootfs.ts';
import { type ClusterSpec, installWeft, labOf } from './cluster.ts';

/** A host of each version: h1 has Docker 20.10, h2 26.1, h3 28.5. */
export const everyDocker: readonly HostSpec[] = dockerVersions.map((docker, index) => ({
  name: `h${index + 1}`,
  docker,
}));

/** Hosts without weft. */
export function testLab(spec: LabSpec): Lab {
  const lab = new Lab(spec);
  beforeAll(() => lab.up());
  afterAll(() => lab.down());
  return lab;
}

export function testCluster(spec: ClusterSpec): Lab {
  const lab = testLab(labOf(spec));
  beforeAll(() => installWeft(lab, spec));
  return lab;
}
