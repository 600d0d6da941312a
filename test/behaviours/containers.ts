/** What is seen of a container, from within and from Docker. */
import { reachesNot } from '../cluster/cluster.ts';
import type { Host } from '../lab/host.ts';
import { toolsImage } from '../lab/tools-image.ts';

/** Of a container on a network, in Docker's words. */
interface Attachment {
  readonly IPAddress: string;
  readonly MacAddress: string;
}

/** Creates a container and does not start it. */
export async function createContainer(
  host: Host,
  network: string,
  name: string,
  args: readonly string[] = [],
): Promise<void> {
  await host.docker([
    ...['create', '--net', network, '--name', name, '--stop-signal', 'KILL', ...args],
    ...[toolsImage, 'sleep', 'infinity'],
  ]);
}

/** By names of networks. */
export async function attachments(
  host: Host,
  container: string,
): Promise<Readonly<Record<string, Attachment>>> {
  const format = '{{json .NetworkSettings.Networks}}';
  return JSON.parse(await host.docker(['inspect', '--format', format, container]));
}

export async function networksOf(host: Host, container: string): Promise<readonly string[]> {
  return Object.keys(await attachments(host, container)).toSorted();
}

/** The networks whose address is on one of the container's interfaces. */
export async function interfacesOn(host: Host, container: string): Promise<readonly string[]> {
  const inside = await host.docker(['exec', container, 'ip', '-oneline', '-4', 'address']);
  const known = Object.entries(await attachments(host, container));
  return known
    .filter(([, { IPAddress }]) => inside.includes(` ${IPAddress}/`))
    .map(([network]) => network)
    .toSorted();
}

/** Whether one ping of an address or name is answered. */
export async function reaches(host: Host, container: string, target: string): Promise<boolean> {
  return !(await reachesNot(host, container, target));
}
