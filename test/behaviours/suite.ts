/** The rows, tried with one driver. */
import { describe, expect, test } from 'vitest';
import { removeContainers } from '../cluster/cluster.ts';
import { everyDocker } from '../cluster/test-lab.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { type DockerVersion, isAtLeast } from '../lab/rootfs.ts';
import { type Behaviour, type Difference, type Driver, drivers } from './behaviour.ts';
import { behaviours } from './behaviours.ts';

/** On all hosts at once, each of which is on its own: what is done on one is nothing to the others. */
export function behavioursSuite(driver: Driver, lab: Lab, remove = removeNetworks): void {
  describe.each(everyDocker)('Docker $docker', { concurrent: true }, ({ name, docker }) => {
    const known = behaviours.filter(({ since = docker }) => isAtLeast(docker, since));
    // One after the other: some restart the daemon.
    test.each(known)('$name', { concurrent: false }, async ({ see, holds, differs }) => {
      const host = lab.host(name);
      const stranger = lab.hosts.find((other) => other !== host)?.address ?? '';
      const networks: string[] = [];
      const createNetwork = async (network: string, args: readonly string[] = []) => {
        networks.push(network);
        await host.docker(['network', 'create', ...drivers[driver], ...args, network]);
      };
      const difference = differenceOf(driver, docker, differs);
      const seeing = see({ host, stranger, createNetwork });
      try {
        if (!difference?.isByChance) expect(await seeing).toEqual(difference ? difference.sees : holds);
        else expect([holds, difference.sees]).toContainEqual(await seeing.catch(String));
      } finally {
        await removeContainers(host);
        await remove(host, networks);
      }
    });
  });
}

function differenceOf(
  driver: Driver,
  docker: DockerVersion,
  differs: Behaviour['differs'],
): Difference | undefined {
  const difference = driver === 'bridge' ? undefined : differs?.[driver];
  return difference && isAtLeast(docker, difference.since ?? docker) ? difference : undefined;
}

/** Those that a row has made and not removed. */
async function removeNetworks(host: Host, made: readonly string[]): Promise<void> {
  const there = (await host.docker(['network', 'ls', '--format', '{{.Name}}'])).split('\n');
  const left = [...new Set(made)].filter((network) => there.includes(network));
  if (left.length > 0) await host.docker(['network', 'rm', ...left]);
}
