/** A lab whose hosts have weft: what the tests of this folder, of test/fault and the demo begin with. */
import { buildPlugin } from '../../plugin/build.ts';
import type { Host, HostSpec } from '../lab/host.ts';
import { Lab, type LabSpec } from '../lab/lab.ts';
import { toolsImage } from '../lab/tools-image.ts';
import { waitFor } from '../lab/wait.ts';

export const pluginName = 'weft-plugin';

export interface ClusterSpec {
  readonly name: string;
  readonly hosts: readonly HostSpec[];
  readonly members?: 1 | 3;
  /** Addresses by which hosts and store know each other; of IPv6, the hosts have no others. Default IPv4. */
  readonly underlay?: 'IPv4' | 'IPv6';
  readonly segments?: 1 | 2;
  /** Of the underlay. */
  readonly mtu?: number;
  /** Of the plugin, beside where the store is. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Brings up hosts with the plugin installed and enabled; the caller takes the lab down. */
export async function clusterUp(spec: ClusterSpec, options: { readonly keep?: boolean } = {}): Promise<Lab> {
  const lab = await Lab.up(labOf(spec), options);
  try {
    await installWeft(lab, spec);
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

export function labOf({ name, hosts, members = 1, segments = 1, mtu = 1500 }: ClusterSpec): LabSpec {
  return { name, hosts, etcd: { members }, segments, mtu };
}

export async function installWeft(lab: Lab, { underlay, settings }: ClusterSpec): Promise<void> {
  const folder = await buildPlugin();
  const endpoints = underlay === 'IPv6' ? lab.etcd.endpoints6 : lab.etcd.endpoints;
  await Promise.all(
    lab.hosts.map(async (host) => {
      if (underlay === 'IPv6') await host.exec(['ip', '-4', 'address', 'flush', 'dev', 'eth0']);
      await host.installPlugin(folder, pluginName, {
        // Most tests make each network on each host, as without Docker's API.
        WEFT_REPLICATE: 'off',
        ...settings,
        WEFT_ETCD_ENDPOINTS: endpoints,
      });
    }),
  );
}

/** `docker network create` with weft's two drivers; answers the id. */
export function createNetwork(host: Host, name: string, args: readonly string[] = []): Promise<string> {
  return host.docker(['network', 'create', '--driver', 'weft', '--ipam-driver', 'weft-ipam', ...args, name]);
}

/** Arguments of `createNetwork` by which it is the same network on every host. */
export function termsOf(network: {
  readonly name: string;
  readonly fabric: string;
  readonly subnet: string;
}): string[] {
  const { name, fabric, subnet } = network;
  return ['--subnet', subnet, '-o', `weft.network=${name}`, '-o', `weft.fabric=${fabric}`];
}

/** A network of each fabric, for what holds for both. */
export const bothFabrics = [
  { name: 'blue', fabric: 'routed', subnet: '10.77.0.0/16' },
  { name: 'red', fabric: 'vxlan', subnet: '10.78.0.0/16' },
] as const;

/** Waits until the host has the network, made on another. */
export async function waitForNetwork(host: Host, name: string): Promise<void> {
  await waitFor(`${host.name} has network ${name}`, async () => {
    await host.docker(['network', 'inspect', name]);
    return true;
  });
}

/** Names of those of weft's, in order. */
export async function networksOf(host: Host): Promise<string[]> {
  const format = ['network', 'ls', '--filter', 'driver=weft', '--format', '{{.Name}}'];
  const names = (await host.docker(format)).split('\n');
  return names.filter((name) => name !== '').toSorted();
}

/** With the containers of these names that are on it. */
export async function removeNetwork(
  hosts: readonly Host[],
  network: string,
  containers: readonly string[],
): Promise<void> {
  for (const host of hosts) {
    await host.docker(['rm', '--force', ...containers]);
    await host.docker(['network', 'rm', network]);
  }
}

/** All that the host has, however they came to be. */
export async function removeContainers(host: Host): Promise<void> {
  await host.exec(['sh', '-c', 'docker ps --all --quiet | xargs --no-run-if-empty docker rm --force']);
}

/** Removes all containers and networks of the hosts; what is shared goes from all when the last of them lets it. */
export async function sweep(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) {
    await removeContainers(host);
    await host.docker(['network', 'prune', '--force']);
  }
  for (const host of hosts) await leavesNoTrace(host);
}

/** Starts a container that does nothing and answers its address on the network. */
export async function startContainer(
  host: Host,
  network: string,
  name: string,
  args: readonly string[] = [],
): Promise<string> {
  await host.docker([
    ...['run', '--detach', '--net', network, '--name', name, '--stop-signal', 'KILL', ...args],
    ...[toolsImage, 'sleep', 'infinity'],
  ]);
  return addressOf(host, network, name);
}

export async function addressOf(host: Host, network: string, name: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await host.docker(['inspect', '--format', format, name])).trim();
}

/** Its addresses on the network, of both families. */
export async function addressesOf(host: Host, network: string, name: string): Promise<string[]> {
  const format = `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}`;
  return (await host.docker(['inspect', '--format', format, name])).trim().split(' ');
}

/** Whether one ping of the container is answered; the routes of a new neighbour may be a moment away. */
export async function pings(host: Host, container: string, address: string): Promise<void> {
  await waitFor(`${container} on ${host.name} reaches ${address}`, async () => {
    await host.docker(['exec', container, 'ping', '-c', '1', '-W', '1', address]);
    return true;
  });
}

/** By packets of so many bytes that must not be cut up; fails where one has ever been refused on this way. */
export async function pingsWhole(host: Host, container: string, address: string, bytes: number) {
  const pid = await host.docker(['inspect', '--format', '{{.State.Pid}}', container]);
  const ping = ['ping', '-M', 'do', '-c', '1', '-W', '2', '-s', String(bytes - 28), address];
  await host.exec(['nsenter', '--target', pid, '--net', ...ping]);
}

export async function reachesNot(host: Host, container: string, address: string): Promise<boolean> {
  const ping = ['exec', container, 'ping', '-c', '1', '-W', '1', address];
  return host.docker(ping).then(
    () => false,
    () => true,
  );
}

/** What a command that must fail says. */
export async function complaint(command: Promise<string>): Promise<string> {
  try {
    await command;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('the command succeeded');
}

/** Waits until nothing of weft is left, neither on the hosts nor in the store. */
export async function nothingIsLeft(lab: Lab, timeoutMs?: number): Promise<void> {
  for (const host of lab.hosts) await leavesNoTrace(host);
  await waitFor('the store is empty', async () => (await storeKeys(lab)).length === 0, timeoutMs);
}

/** Waits until nothing of weft is left in the host's kernel; what is left is named. */
export async function leavesNoTrace(host: Host): Promise<void> {
  await waitFor(`${host.name} has no trace of weft`, async () => {
    const left = await traces(host);
    if (left.length > 0) throw new Error(`left on ${host.name}: ${left.join('; ')}`);
    return true;
  });
}

/** Everything of weft that can be seen in a host's kernel: links, routes, namespaces, packet filter. */
async function traces(host: Host): Promise<string[]> {
  const outputs = await Promise.all([
    host.exec(['sh', '-c', "ip -o link | grep -o ' weft[^:@ ]*' || true"]),
    host.exec(['ip', 'route', 'show', 'table', 'all', 'proto', '119']),
    host.exec(['ip', '-6', 'route', 'show', 'table', 'all', 'proto', '119']),
    host.exec(['sh', '-c', '(ip rule; ip -6 rule) | grep 1190 || true']),
    host.exec(['sh', '-c', 'ls /run/netns 2>/dev/null | grep ^weft- || true']),
    host.exec(['sh', '-c', 'nft list tables | grep weft || true']),
    host.exec(['sh', '-c', '(iptables-legacy-save; iptables-nft-save) 2>/dev/null | grep weft || true']),
  ]);
  return outputs.flatMap((output) => output.split('\n')).filter((line) => line.trim() !== '');
}

/** Keys of weft in the store, without what hosts say of themselves and what is settled once for all. */
export async function storeKeys(lab: Lab): Promise<string[]> {
  const output = await lab.etcd.ctl(['get', '--prefix', '--keys-only', '/weft/v1/']);
  return output
    .split('\n')
    .filter(
      (key) => key !== '' && !/^\/((hosts|alive)\/[^/]+|config|epoch)$/.test(key.replace('/weft/v1', '')),
    );
}
