/** Containers that reach each other. A command in a container costs more than a ping: so there is one for many. */
import type { Host } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';
import { addressesOf } from './cluster.ts';

const pingEach = `for address; do
  ping -c 1 -W 1 "$address" >/dev/null || { echo "no answer from $address" >&2; exit 1; }
done`;

/** Waits until all are answered, one after the other; the routes of a new neighbour may be a moment away. */
export async function pingsAll(
  host: Host,
  container: string,
  addresses: readonly string[],
  timeoutMs?: number,
): Promise<void> {
  const all = addresses.join(', ');
  await waitFor(
    `${container} on ${host.name} reaches ${all}`,
    async () => {
      await host.docker(['exec', container, 'sh', '-c', pingEach, 'sh', ...addresses]);
      return true;
    },
    timeoutMs,
  );
}

/** From the container of that name on each host to that on every one, at all its addresses on the network. */
export async function allReachAll(
  hosts: readonly Host[],
  network: string,
  container: string,
  timeoutMs?: number,
): Promise<void> {
  const addresses = await Promise.all(hosts.map((host) => addressesOf(host, network, container)));
  await Promise.all(hosts.map((host) => pingsAll(host, container, addresses.flat(), timeoutMs)));
}
