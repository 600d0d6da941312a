/** Containers, and networks, that come and go on a host, whatever becomes of it meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import { bothFabrics, createNetwork } from '../../cluster/cluster.ts';
import type { Host } from '../../lab/host.ts';
import { toolsImage } from '../../lab/tools-image.ts';

/** A container on one of the networks. */
export interface Attached {
  readonly host: Host;
  readonly container: string;
  readonly network: string;
  readonly endpoint: string;
  readonly address: string;
}

const mostPerHost = 6;
const pauseMs = 50;
/** Of all turns, those in which a network comes and goes. */
const networkShare = 0.1;
const passing = 'passing-';

/** How many containers were started, and how many of those that ran were removed. */
export interface Traffic {
  readonly started: number;
  readonly removed: number;
}

/** Starts and removes, until the signal aborts. What fails because of a fault is cleared away. */
export async function comeAndGo(host: Host, random: () => number, signal: AbortSignal): Promise<Traffic> {
  let [started, removed] = [0, 0];
  while (!signal.aborted) {
    const names = await containersOn(host).catch(() => []);
    const nth = Math.floor(random() * names.length);
    const network = bothFabrics[random() < 0.5 ? 0 : 1].name;
    const starts = random() * mostPerHost > names.length;
    const name = `c${Math.floor(random() * 1e9)}`;
    if (random() < networkShare) await makeNetwork(host, `${passing}${nth}`);
    if (starts) {
      const options = ['--detach', '--restart', 'always', '--stop-signal', 'KILL', '--net', network];
      const run = ['run', ...options, '--name', name, toolsImage, 'sleep', 'infinity'];
      await host.docker(run).then(
        () => {
          started += 1;
        },
        async () => void (await remove(host, name)),
      );
    } else if (await remove(host, names[nth] ?? name)) {
      removed += 1;
    }
    // A host that is off fails all of it in the same turn of the event loop, which nothing else would get a turn of.
    await delay(pauseMs);
  }
  return { started, removed };
}

/** It has been there for a moment, if all goes well. */
async function makeNetwork(host: Host, name: string): Promise<void> {
  await createNetwork(host, name, ['-o', 'weft.replicate=off']).catch(() => undefined);
  await host.docker(['network', 'rm', name]).catch(() => undefined);
}

/** What has come of networks that are to go. */
export async function removePassing(host: Host): Promise<void> {
  const names = await host.docker(['network', 'ls', '--format', '{{.Name}}', '--filter', `name=^${passing}`]);
  const left = names.split('\n').filter((name) => name !== '');
  if (left.length > 0) await host.docker(['network', 'rm', ...left]);
}

/** @returns whether Docker did it */
function remove(host: Host, name: string): Promise<boolean> {
  return host.docker(['rm', '--force', name]).then(
    () => true,
    () => false,
  );
}

async function containersOn(host: Host, ...filters: string[]): Promise<string[]> {
  const output = await host.docker(['ps', '--all', '--format', '{{.Names}}', ...filters]);
  return output.split('\n').filter((name) => name !== '');
}

/** Those that Docker could not start, or not start again. */
export async function removeDead(host: Host): Promise<void> {
  const filters = ['created', 'exited', 'dead', 'restarting'].flatMap((state) => [
    '--filter',
    `status=${state}`,
  ]);
  const dead = await containersOn(host, ...filters);
  if (dead.length > 0) await host.docker(['rm', '--force', ...dead]);
}

/** Every container that runs on the host, as its Docker tells it. */
export async function attachedOn(host: Host): Promise<Attached[]> {
  const names = await containersOn(host, '--filter', 'status=running');
  if (names.length === 0) return [];
  const format = '{{.Name}} {{json .NetworkSettings.Networks}}';
  const lines = (await host.docker(['inspect', '--format', format, ...names])).split('\n');
  return lines.flatMap((line) => {
    const [name = '', json = '{}'] = splitOnce(line.trim());
    const attachments: Record<string, { EndpointID: string; IPAddress: string }> = JSON.parse(json);
    return bothFabrics.flatMap(({ name: network }) => {
      const attachment = attachments[network];
      if (attachment === undefined) return [];
      const { EndpointID: endpoint, IPAddress: address } = attachment;
      return [{ host, container: name.replace('/', ''), network, endpoint, address }];
    });
  });
}

function splitOnce(line: string): [string, string] {
  const space = line.indexOf(' ');
  return [line.slice(0, space), line.slice(space + 1)];
}
